"""The pages for those who lead: home, declare, bulletins, the board and its lists. Each file is one page's worth."""

from __future__ import annotations

from fastapi import APIRouter

from app.board import (
    board_page,
    bulletin_page,
    declare_page,
    home_page,
    live_page,
    numbers_page,
    people_page,
    record_page,
    reports_page,
    review_page,
    write_page,
)

router = APIRouter()
for room in (
    home_page, declare_page, write_page, bulletin_page, board_page, live_page, people_page, record_page, reports_page,
    review_page, numbers_page,
):  # fmt: skip
    router.include_router(room.router)

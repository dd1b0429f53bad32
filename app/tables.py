"""Every table there is, imported once so that migrations and tests see the whole schema."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlmodel import SQLModel

import app.access.models
import app.bulletins.models
import app.deliveries.models
import app.directory.models
import app.incidents.models
import app.kernel.audit
import app.kernel.leases
import app.mailbox.models
import app.notices.models
import app.playbooks.models
import app.readiness.models
import app.replies.models
import app.web.models  # noqa: F401

metadata: MetaData = SQLModel.metadata

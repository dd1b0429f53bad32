from tests.journeys.crew import Crew, Desk, a_person, adds_up, tried


async def test_a(crew: Crew) -> None:
    p = a_person()
    key = await crew.told(p)
    e = await crew.until_attempts(key, p, ("sms", "delivered"), ("email", "accepted"))
    adds_up(await crew.muster.board(key))
    print(e)


async def test_b(at_the_desk: Crew, the_desk: Desk) -> None:
    p = a_person()
    key = await at_the_desk.told(p)
    assert await the_desk.hand_over() == 1
    print(await at_the_desk.person(key, p))
    print(await the_desk.text(p.mobile, "1"))
    print(await at_the_desk.person(key, p))
    print(await the_desk.texts())

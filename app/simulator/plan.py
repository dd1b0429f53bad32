"""What will happen to one accepted text, and when: worked out from its fate alone, so a restart works out the same."""

from dataclasses import dataclass

from app.simulator.fates import Fate, chances

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled"})
SLOW = (20.0, 90.0)


@dataclass(frozen=True, slots=True)
class Step:
    """A status, its error code (0 for none), `after` seconds from acceptance."""

    after: float
    status: str
    error: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The states the text goes through, and the receipts that are posted, each in order of time."""

    moves: tuple[Step, ...]
    receipts: tuple[Step, ...]


def plan(fate: Fate, *, seed: int, number: str, ordinal: int, service: bool, speed: float) -> Plan:
    """The plan of the `ordinal`-th text to `number`; `service` = sent through a Messaging Service.

    Delivery takes 0.05 to 1.5 s. About one text in four also reports `sending`, as the real network's habit varies.
    """
    dice = chances(seed, "net", number, ordinal)
    final = 0.05 + 1.45 * dice[2]
    sent = final * (0.3 + 0.4 * dice[1])
    sending = sent * (0.2 + 0.5 * dice[0])
    moves = [Step(sending / 2, "queued")] if service else []
    if fate.end == "failed":
        moves.append(Step(final, "failed", fate.error))
    else:
        moves += [Step(sending, "sending"), Step(sent, "sent"), Step(final, fate.end, fate.error)]

    receipts = [move for move in moves if move.status != "sending" or dice[3] < 0.25]
    if fate.receipts == "none":
        receipts = []
    elif fate.receipts == "slow":
        late = (SLOW[0] + (SLOW[1] - SLOW[0]) * dice[4]) / speed
        receipts = [Step(late + step.after, step.status, step.error) for step in receipts]
    elif fate.receipts == "shuffled":
        receipts = [Step(final, step.status, step.error) for step in reversed(moves)]
    elif fate.receipts == "twice":
        receipts = [step for step in receipts for _ in range(2)]
    elif fate.receipts == "strange":
        receipts.insert(len(receipts) - 1, Step((sent + final) / 2, "rerouted"))
    elif fate.handover == "receipt_first":
        first, *rest = receipts
        receipts = [Step(0.0, first.status, first.error), *rest]
    return Plan(tuple(moves), tuple(receipts))

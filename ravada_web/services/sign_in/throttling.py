"""Which failed attempts to sign in count together, and how many are too many."""

from limits import parse

from ravada_web.config import settings
from ravada_web.services.rate_limits import Counter


def password_counters(name: str, address: str, device: str) -> list[Counter]:
    """What a failed password for that name, from that address, counts to; `device` is its cookie's word, or ""."""
    known = name.lower()[:64]
    if device:
        return [Counter(parse(settings().login_limit), ("device", device))]
    return [
        Counter(parse(settings().login_limit), ("name and address", known, address)),
        Counter(parse(settings().login_limit_per_name), ("name", known)),
        Counter(parse(settings().login_limit_per_address), ("address", address)),
    ]


def code_counters(user_id: int, address: str) -> list[Counter]:
    """What a wrong code of the second factor counts to."""
    return [
        Counter(parse("5 per minute"), ("code", str(user_id), address)),
        Counter(parse("30 per hour"), ("code", str(user_id))),
    ]

"""Names that data sets give to their attacks, as the classes of this project."""

from __future__ import annotations

from models.can_ids.frames import Attack

__all__ = ["attack_of", "attack_of_file"]

#: A class is the first whose word occurs in the name, so the narrower words stand first.
WORDS = (
    ("gear", Attack.SPOOFING_GEAR),
    ("masquerade", Attack.MASQUERADE),
    ("suspen", Attack.SUSPENSION),
    ("replay", Attack.REPLAY),
    ("fuzz", Attack.FUZZING),
    ("dos", Attack.DOS),
    ("flood", Attack.DOS),
    ("spoof", Attack.SPOOFING),
    ("rpm", Attack.SPOOFING),
    ("speed", Attack.SPOOFING),
    ("fabricat", Attack.SPOOFING),
    ("malfunction", Attack.SPOOFING),
    ("torque", Attack.SPOOFING),
)
BENIGN = {"", "r", "0", "0.0", "normal", "benign", "regular", "false", "none", "attack_free", "attack-free"}
#: Marked as injected, but not how.
MARKS = {"t", "1", "1.0", "true", "attack", "injected", "anomaly", "malicious"}


def attack_of(flag: str, name: str, *, injected: Attack) -> Attack:
    """The class of a frame from flag and name of the attack; `injected` where only the flag speaks."""
    for text in (name.strip().lower(), flag.strip().lower()):
        if text in BENIGN:
            continue
        if text in MARKS:
            return injected
        return _named(text, Attack.OTHER)
    return Attack.BENIGN


def attack_of_file(stem: str) -> Attack:
    """What a flagged frame is in a file of that name: the HCRL files say it nowhere else."""
    return _named(stem.lower(), Attack.OTHER)


def _named(text: str, otherwise: Attack) -> Attack:
    return next((attack for word, attack in WORDS if word in text), otherwise)

"""What stars come to."""


def average(stars: int, ratings: int) -> str | None:
    """Return the average as a decimal with two places, halves rounded up; None without ratings."""
    if ratings == 0:
        return None
    hundredths = (2 * 100 * stars + ratings) // (2 * ratings)
    return f"{hundredths // 100}.{hundredths % 100:02}"

"""Numbers in words."""

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = "zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"


def in_english(number: int) -> str:
    """A number from 0 to 9999 as it is said in British English.

    Raises `ValueError` for another number.

        >>> in_english(407), in_english(21), in_english(9000)
        ('four hundred and seven', 'twenty-one', 'nine thousand')
        >>> in_english(1066)
        'one thousand and sixty-six'
    """
    _sayable("in_english", number)
    thousands, below = divmod(number, 1000)
    hundreds, rest = divmod(below, 100)
    said = [f"{UNITS[thousands]} thousand"] * (thousands > 0) + [f"{UNITS[hundreds]} hundred"] * (hundreds > 0)
    if not said:
        return _below_100(rest)
    return " ".join(said) + (f" and {_below_100(rest)}" if rest else "")


def in_korean(number: int) -> str:
    """A number from 0 to 9999 in Sino-Korean numerals, 0 as 영. Errors as in `in_english`.

    >>> in_korean(407), in_korean(21), in_korean(1110), in_korean(0)
    ('사백칠', '이십일', '천백십', '영')
    """
    _sayable("in_korean", number)
    places = zip(("천", "백", "십", ""), f"{number:04d}")
    said = [
        ("" if digit == "1" and unit else " 일이삼사오육칠팔구"[int(digit)]) + unit
        for unit, digit in places
        if digit != "0"
    ]
    return "".join(said) or "영"


def _below_100(number):
    tens, ones = divmod(number, 10)
    if number < 20:
        return UNITS[number]
    return TENS[tens] + (f"-{UNITS[ones]}" if ones else "")


def _sayable(where, number):
    if not 0 <= number <= 9999:
        raise ValueError(f"{where}: number must be from 0 to 9999, but number is {number}. Give another.")

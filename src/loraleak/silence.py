"""What the silence of a command does not mean. Every command that finds nothing, or changes a file, says it in these words."""

__all__ = ["FOUND_NOTHING", "HEADER_ONLY", "LOW_IS_NO_PROOF", "NO_LEAK_MEASURED", "WEIGHTS_REMAIN"]

HEADER_ONLY = "No picture was made. The weights can still give a person away: `loraleak audit` tries that."

WEIGHTS_REMAIN = "The weights can still give the person away: audit the file with `loraleak audit` before you share it."

NO_LEAK_MEASURED = (
    "The attacks' pictures come no nearer to the photos than the base's, so there is no leak here that a defence could lower. "
    "That does not show that the file has none."
)

LOW_IS_NO_PROOF = "A low level is no proof of safety; an undecided one says nothing for or against the file."

FOUND_NOTHING = "These attacks found nothing. That is no proof of safety: there may be stronger ones."

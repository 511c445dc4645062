"""The notation of phrases and how they are found."""

import pytest

from analyzer_worker.phrases import BadPhrase, PhraseIndex, parse_phrase, words_of


def found(phrase: str, text: str) -> str | None:
    """What `phrase` covers of `text`."""
    items = PhraseIndex([(0, phrase)], {}).find(words_of(text))
    return text[items[0].start : items[0].end] if items else None


@pytest.mark.parametrize(
    ("phrase", "text", "covered"),
    [
        ("out of memory", "java.lang.OutOfMemoryError", "OutOfMemory"),
        ("outofmemory*", "java.lang.OutOfMemoryError", "OutOfMemoryError"),
        ("oom", "boom", None),
        ("oom", "OOMKilled", "OOM"),
        ("pool .. exhausted", "pool of the primary database exhausted", "pool of the primary database exhausted"),
        ("pool .. exhausted", "pool of the one primary database exhausted", None),
        ("disk|volume full", "VOLUME full", "VOLUME full"),
        ("rate limit*", "rate_limiting", "rate_limiting"),
        ("disk <90-100>", "disk 95%", "disk 95"),
        ("disk <90-100>", "disk 9", None),
        ("disk <90-100>", "disk 950", None),
        ("http 504", "HTTP504", "HTTP504"),
    ],
)
def test_a_phrase_covers_whole_words(phrase: str, text: str, covered: str | None) -> None:
    """Identifiers count as one word and as their parts; a gap spans at most four words."""
    assert found(phrase, text) == covered


@pytest.mark.parametrize(
    "bad", ["", "..", ".. a", "a ..", "a .. b .. c .. d", "<1-2> a", "Upper", "ab*", "a-b", "a||b"]
)
def test_a_phrase_outside_the_notation_is_refused(bad: str) -> None:
    """A typing mistake in a pattern file is found when it is read."""
    with pytest.raises(BadPhrase):
        parse_phrase(bad)


def test_a_longer_phrase_silences_those_inside_it() -> None:
    """`gateway timeout` is not also a `timeout`."""
    index = PhraseIndex([(0, "timeout"), (1, "gateway timeout")], {})
    assert [item.owner for item in index.find(words_of("gateway timeout"))] == [1]


def test_a_word_can_take_a_phrase_back_before_it_silences_others() -> None:
    """`unless` is judged before overlaps are."""
    index = PhraseIndex([(0, "timeout"), (1, "gateway timeout")], {1: frozenset({"test"})})
    assert [item.owner for item in index.find(words_of("test gateway timeout"))] == [0]

"""A password that a message is cut within: no part of it is left."""

from asvit.runs.urls import hide_passwords, parsed_url
from asvit.study.storage import refusal


def test_no_part_of_a_password_is_left_where_a_message_is_cut():
    url = parsed_url(f"postgresql+psycopg://me:{'secret' * 20}@host/db")
    assert url is not None
    for before in range(60, 180, 7):
        said = str(refusal(url, OSError(f"{'x ' * (before // 2)}{url.password} {'y ' * 100}")))
        assert "secret" not in said
        assert "***" in said


def test_a_storage_of_spaces_alone_hides_nothing():
    assert hide_passwords("--storage is empty", ["study", "--storage", "  "]) == "--storage is empty"


def test_a_storage_of_a_letter_hides_no_letters_of_words():
    assert (
        hide_passwords("cannot use the storage a: no URL", ["--storage", "a"]) == "cannot use the storage ***: no URL"
    )

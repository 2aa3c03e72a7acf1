import pytest

from contest.disk.encodings import instead_of_utf8
from contest.disk.files import read_text
from contest.errors import UserError

CHINESE = "小明在河边放风筝，天空很蓝；一只猫看着他。"


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        (CHINESE, "gbk", "probably GBK"),
        (f"file,prompt\r\n1.png,{CHINESE} 钿镕", "gb18030", "probably GBK"),  # with rarer letters of names
        (CHINESE, "utf-16", "but UTF-16"),
        (CHINESE, "utf-16-be", "(byte "),
        ("Männchen, naïve café, Straße à gauche", "latin-1", "(byte 1)"),
        ("Мальчик у реки запускает воздушного змея", "cp1251", "(byte 0)"),
        ("少年が凧をあげる、空は青い", "shift-jis", "(byte "),
    ],
)
def test_what_is_said_of_another_encoding(text, encoding, said):
    with pytest.raises(UnicodeDecodeError) as caught:
        text.encode(encoding).decode("utf-8")
    words = instead_of_utf8(caught.value)
    assert said in words
    assert words.startswith("not UTF-8 text")
    assert words.endswith("save it as UTF-8")


def test_files_that_people_write_are_told_alike(tmp_path):
    (tmp_path / "entry.yaml").write_bytes(f"team: {CHINESE}\n".encode("gbk"))
    with pytest.raises(UserError, match=r"entry.yaml: not UTF-8 text but probably GBK.*; save it as UTF-8$"):
        read_text(tmp_path / "entry.yaml")

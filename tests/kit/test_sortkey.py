"""Chinese order."""

from app.kit.sortkey import sort_key


def test_provinces_come_in_pinyin_order() -> None:
    assert sorted(["上海", "北京", "安徽", "广东", "重庆"], key=sort_key) == ["安徽", "北京", "重庆", "广东", "上海"]


def test_equal_readings_have_a_fixed_order() -> None:
    assert sort_key("张伟") != sort_key("章伟")
    assert sorted([sort_key("章伟"), sort_key("张伟")]) == sorted([sort_key("张伟"), sort_key("章伟")])

from hw.overlay.catalog import OVERLAYS


def test_each_overlay_has_the_name_it_is_listed_under():
    assert {name: make().description.name for name, make in OVERLAYS.items()} == {
        name: name for name in OVERLAYS
    }

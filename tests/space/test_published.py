from __future__ import annotations

from lutbench.space.published import published, published_sizes
from lutbench.space.sizes import net_size, whole_zoo


def test_sizes_of_both_files_do_not_overlap_and_name_their_source() -> None:
    sizes = published_sizes()
    of_latency = {(row.net, row.resolution, row.width) for row in published()}
    assert len(of_latency) == 26
    assert sizes["fbnet_a", 224, 1.0].source == "FBNet, table 3"
    assert sizes["fbnetv2_f1", 128, 1.0].params_m == 5.999408
    others = {key for key, size in sizes.items() if not size.source.startswith("FBNet,")}
    assert len(others) == 31 and not others & of_latency


def test_every_published_size_belongs_to_a_net_of_the_zoo_or_an_unpublished_architecture() -> None:
    known = {(size.net.split("@")[0], size.resolution, size.width) for size in map(net_size, whole_zoo())}
    unpublished = {"fbnet_224_035", "fbnet_192_050", "fbnet_128_100", "fbnet_128_050", "fbnet_96_035_2"}
    assert {key[0] for key in published_sizes() if key not in known} == unpublished


def test_deviations() -> None:
    sizes = {size.net: size for size in map(net_size, whole_zoo())}
    found = sizes["mobilenet_v2@224x1.4"]
    assert found.params_deviation is not None and round(found.params_deviation, 3) == -0.122
    assert sizes["fbnetv2_l1"].published is None and sizes["fbnetv2_l1"].mmacs_deviation is None
    for size in sizes.values():
        assert size.mmacs_deviation is None or abs(size.mmacs_deviation) < 0.09

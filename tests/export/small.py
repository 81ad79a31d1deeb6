"""Small operators, one of each kind that is exported."""

NAMES = (
    "stem_k3_3x32x32_16_s2",
    "ir_k5_e6_g1_16x8x8_16_s1",
    "ir_k3_e1_g2_16x8x8_24_s2",
    "conv_k1_16x8x8_24_s2",
    "pool_32x4x4",
    "fc_32_10",
)

"""MLX's affine quantization as a bundle stores it: the straight-through version for training, and the decoder."""
import numpy as np
import torch

GROUP = 32
PASS_PARTS = ("norm", ".res_scale.", ".router.", ".conv_qk.")
PASS_ENDS = (".temp", ".bias")


def bits_of(key):
    """Bits that the MXFP4 bundle gives this weight, or None where it passes through as float16."""
    if any(part in key for part in PASS_PARTS) or key.endswith(PASS_ENDS):
        return None
    return 8 if "embed_tokens" in key else 4


def quantize(w, bits):
    """float32 values that already sit on the float16 grid, [.., K] -> codes, float32 scale and bias per group."""
    g = w.reshape(*w.shape[:-1], -1, GROUP)
    n = float(2 ** bits - 1)
    high, low = g.max(-1, keepdim=True).values, g.min(-1, keepdim=True).values
    scale = ((high - low) / n).clamp_min(1e-7)
    from_low = low.abs() > high.abs()
    scale = torch.where(from_low, scale, -scale)
    edge = torch.where(from_low, low, high)
    q0 = torch.round(edge / scale)
    nonzero = q0 != 0
    scale = torch.where(nonzero, edge / torch.where(nonzero, q0, torch.ones_like(q0)), scale)
    bias = torch.where(nonzero, edge, torch.zeros_like(edge))
    codes = torch.round((g - bias) / scale).clamp(0, n)
    return codes, scale, bias


def through_bundle(w, bits):
    """What a runtime reads back: BF16 (the checkpoint), float16, and for a quantized weight its affine codes."""
    w = w.bfloat16().float().half().float()
    if bits is None:
        return w
    codes, scale, bias = quantize(w, bits)
    return (codes * scale.half().float() + bias.half().float()).reshape(w.shape)


def bundle_weights(w):
    """The weight dict of the bundle that this checkpoint becomes, decoded to float32."""
    with torch.no_grad():
        return {k: through_bundle(v, bits_of(k)) for k, v in w.items()}


def straight_through(w):
    """Weights whose forward values are the bundle's and whose gradients reach the float32 originals."""
    return {k: v + (through_bundle(v.detach(), bits_of(k)) - v.detach()) for k, v in w.items()}


def decode(packed, scales, biases):
    """uint32 [.., K * bits / 32] -> float32 [.., K]; product rounded, then the sum."""
    per_row = scales.shape[-1] * GROUP
    bits = packed.shape[-1] * 32 // per_row
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    codes = (packed[..., None] >> shifts) & np.uint32(2 ** bits - 1)
    groups = codes.reshape(*packed.shape[:-1], -1, GROUP).astype(np.float32)
    out = groups * scales.astype(np.float32)[..., None] + biases.astype(np.float32)[..., None]
    return out.reshape(*packed.shape[:-1], per_row)

"""The ZAYA forward pass in PyTorch, batched over whole sequences, for training and for reference logits.

Weights are a flat dict under the names of the legacy checkpoint, except that the experts of a layer are stacked:
`...experts.fc1` [E, 2I, H] (gate rows, then up rows) and `...experts.fc2` [E, H, I]. A row of a batch is one
sequence; padding goes behind its end, where causality keeps it from mattering.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


QUERY_BLOCK = 192


@dataclass
class Config:
    hidden: int      # H
    layers: int      # L, legacy counting: even = attention, odd = MoE
    q_heads: int     # Nq
    kv_heads: int    # Nk
    head_dim: int    # D
    rotary: int      # R, rotated dims per head
    experts: int     # E; route E is the skip route
    inner: int       # I
    router: int      # P
    vocab: int       # V
    theta: float
    eps: float

    @staticmethod
    def from_json(c):
        """From a legacy config.json."""
        return Config(hidden=c["hidden_size"], layers=c["num_hidden_layers"], q_heads=c["cca_num_q_heads"],
                      kv_heads=c["num_key_value_heads"], head_dim=c["kv_channels"],
                      rotary=int(c["kv_channels"] * c["partial_rotary_factor"]), experts=c["num_experts"],
                      inner=c["ffn_hidden_size"] // 2, router=c["zaya_mlp_expansion"], vocab=c["vocab_size"],
                      theta=float(c["rope_theta"]), eps=c["norm_epsilon"])


def attention_prefix(layer):
    return f"model.layers.{layer}.self_attn."


def block_prefix(layer):
    return f"model.layers.{layer}.zaya_block."


def rmsnorm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def shift(x):
    """x[t-1], zero before the first position.  [B, T, n]"""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def rope_tables(cfg, length, device):
    """cos and sin, [T, R/2]."""
    inv = cfg.theta ** (-torch.arange(0, cfg.rotary, 2, dtype=torch.float64, device=device) / cfg.rotary)
    angle = torch.arange(length, dtype=torch.float64, device=device)[:, None] * inv
    return angle.cos().float(), angle.sin().float()


def rope(x, cos, sin):
    """Rotate the first R dims of each head in halves.  x [B, T, heads, D]"""
    half = cos.shape[1]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


def unit_length(x, dim):
    """Each head scaled to length sqrt(D)."""
    return x * (math.sqrt(dim) / x.norm(dim=-1, keepdim=True).clamp_min(1e-6))


def convolve(cfg, w, p, f):
    """The two causal convolutions over packed q|k frames.  [B, T, C] -> [B, T, C]"""
    b, t, c = f.shape
    heads, d = cfg.q_heads + cfg.kv_heads, cfg.head_dim
    w0, b0 = w[p + "qkv.conv_qk.0.weight"][:, 0], w[p + "qkv.conv_qk.0.bias"]
    a = w0[:, 0] * shift(f) + w0[:, 1] * f + b0
    before = torch.cat([b0.expand(b, 1, c), a[:, :-1]], 1)     # a[-1] = b0: two zero frames, bias included
    pair = torch.stack([before, a], -1).view(b * t, heads, d * 2).transpose(0, 1)    # [heads, BT, 2D]
    w1 = w[p + "qkv.conv_qk.1.weight"].view(heads, d, d * 2)                         # [heads, out, (in, tap)]
    g = torch.bmm(pair, w1.transpose(1, 2)).transpose(0, 1).reshape(b, t, c)
    return g + w[p + "qkv.conv_qk.1.bias"]


def causal(q, k, v, mask):
    """Softmax attention in blocks of queries, each over the keys up to its end.

    q [B, Nk, G, T, D], k [B, Nk, D, T], v [B, Nk, T, D], mask [T, T] -> [B, Nk, G, T, D]
    """
    b, nk, group, t, d = q.shape
    k, v, parts = k.reshape(b * nk, d, t), v.reshape(b * nk, t, d), []
    for begin in range(0, t, QUERY_BLOCK):
        end = min(begin + QUERY_BLOCK, t)
        rows = q[:, :, :, begin:end].reshape(b * nk, group * (end - begin), d)
        hidden = mask[begin:end, :end].repeat(group, 1)
        weights = torch.baddbmm(hidden, rows, k[:, :, :end]).softmax(-1)
        parts.append(torch.bmm(weights, v[:, :end]).view(b, nk, group, end - begin, d))
    return torch.cat(parts, 3)


def attention(cfg, w, layer, n, tables, mask):
    """CCA attention of one layer.  n [B, T, H] -> [B, T, H]"""
    p = attention_prefix(layer)
    b, t, _ = n.shape
    nq, nk, d = cfg.q_heads, cfg.kv_heads, cfg.head_dim
    group = nq // nk
    names = ("linear_q", "linear_k", "val_proj1", "val_proj2")
    both = n @ torch.cat([w[f"{p}qkv.{name}.weight"] for name in names]).T
    frame, v1, v2 = both.split([(nq + nk) * d, nk * d // 2, nk * d // 2], -1)
    q0, k0 = frame[..., :nq * d], frame[..., nq * d:]
    g = convolve(cfg, w, p, frame)
    mq = (q0.reshape(b, t, nk, group, d) + k0.reshape(b, t, nk, 1, d)) / 2
    q = g[..., :nq * d].reshape(b, t, nq, d) + mq.reshape(b, t, nq, d)
    k = g[..., nq * d:].reshape(b, t, nk, d) + mq.mean(3)
    q = unit_length(q, d)
    k = unit_length(k, d) * (w[p + "qkv.temp"] / math.sqrt(d))[:, None]         # the scores' 1/sqrt(D) rides on k
    q, k = rope(q, *tables), rope(k, *tables)
    v = torch.cat([v1, shift(v2)], -1)            # the second half is the projection of n[t-1]
    v = v.view(b, t, nk, d).transpose(1, 2)                                  # [B, Nk, T, D]
    out = causal(q.view(b, t, nk, group, d).permute(0, 2, 3, 1, 4), k.permute(0, 2, 3, 1), v, mask)
    out = out.permute(0, 3, 1, 2, 4).reshape(b, t, nq * d)
    return out @ w[p + "o_proj.weight"].T


def route(cfg, w, layer, n, state):
    """Router of one MoE layer: (probabilities [.., E+1], choice, router state for the next layer)."""
    p = block_prefix(layer) + "router."
    s = n @ w[p + "down_proj.weight"].T + w[p + "down_proj.bias"]
    if state is not None:
        s = s + state * w[p + "router_states_scale"]
    z = rmsnorm(s, w[p + "rmsnorm_eda.weight"], cfg.eps)
    z = F.gelu(z @ w[p + "router_mlp.0.weight"].T + w[p + "router_mlp.0.bias"])
    z = F.gelu(z @ w[p + "router_mlp.2.weight"].T + w[p + "router_mlp.2.bias"])
    prob = (z @ w[p + "router_mlp.4.weight"].T).softmax(-1)
    choice = (prob.detach() + w[p + "balancing_biases"]).argmax(-1)
    return prob, choice, s


def experts(cfg, w, layer, x, choice):
    """Each token through its own expert; the skip route hands it on.  x [N, H], choice [N] -> [N, H]"""
    p = block_prefix(layer) + "experts."
    order = choice.argsort()
    counts = torch.bincount(choice, minlength=cfg.experts + 1).tolist()
    parts = list(x[order].split(counts))
    fc1, fc2 = w[p + "fc1"].unbind(0), w[p + "fc2"].unbind(0)
    for e in range(cfg.experts):
        if counts[e]:
            gate, up = (parts[e] @ fc1[e].T).chunk(2, -1)
            parts[e] = (F.silu(gate) * up) @ fc2[e].T
    return torch.cat(parts)[order.argsort()]


def moe(cfg, w, layer, n, state):
    b, t, h = n.shape
    prob, choice, state = route(cfg, w, layer, n, state)
    y = experts(cfg, w, layer, n.reshape(b * t, h), choice.reshape(-1)).view(b, t, h)
    return prob.gather(-1, choice[..., None]) * y, state, choice, prob


def merge(w, p, kind, x):
    """(x + bias) * scale"""
    scale = w[f"{p}{kind}_scale"]
    return torch.addcmul(w[f"{p}{kind}_bias"] * scale, x, scale)


def forward(cfg, w, tokens, keep=None):
    """tokens [B, T] -> (logits [.., V], routes). `keep`, a boolean [B, T], limits the logits to some positions.

    routes is a list with (choice [B, T], prob [B, T, E+1]) for each MoE layer.
    """
    t = tokens.shape[1]
    tables = rope_tables(cfg, t, tokens.device)
    mask = torch.full((t, t), float("-inf"), device=tokens.device).triu(1)
    h, r, state, routes = F.embedding(tokens, w["model.embed_tokens.weight"]), None, None, []
    for i in range(cfg.layers):
        p = f"model.layers.{i}.res_scale."
        h = merge(w, p, "hidden_states", h)
        r = h if r is None else merge(w, p, "residual", r) + h
        n = rmsnorm(r, w[f"model.layers.{i}.input_norm.weight"], cfg.eps)
        if i % 2 == 0:
            h = attention(cfg, w, i, n, tables, mask)
        else:
            h, state, choice, prob = moe(cfg, w, i, n, state)
            routes.append((choice, prob))
    h, r = merge(w, "model.res_scale.", "hidden_states", h), merge(w, "model.res_scale.", "residual", r)
    out = rmsnorm(r + h, w["model.final_norm.weight"], cfg.eps)
    out = out if keep is None else out[keep]
    return out @ w["model.embed_tokens.weight"].T, routes


def init_weights(cfg, seed):
    """Fresh weights: normal matrices, identity-like convolutions, neutral norms and residual scaling."""
    gen = torch.Generator().manual_seed(seed)
    normal = lambda std, *shape: torch.randn(*shape, generator=gen) * std
    h, d, p_dim, c = cfg.hidden, cfg.head_dim, cfg.router, (cfg.q_heads + cfg.kv_heads) * cfg.head_dim
    w = {"model.embed_tokens.weight": normal(0.04, cfg.vocab, h), "model.final_norm.weight": torch.ones(h)}
    scales = [f"model.layers.{i}.res_scale." for i in range(cfg.layers)] + ["model.res_scale."]
    for i, p in enumerate(scales):
        for kind in ("hidden_states", "residual") if i else ("hidden_states",):
            w[p + kind + "_scale"], w[p + kind + "_bias"] = torch.ones(h), torch.zeros(h)
    out_std = h ** -0.5 / math.sqrt(cfg.layers)
    for i in range(cfg.layers):
        w[f"model.layers.{i}.input_norm.weight"] = torch.ones(h)
        if i % 2 == 0:
            p = attention_prefix(i)
            w[p + "qkv.linear_q.weight"] = normal(h ** -0.5, cfg.q_heads * d, h)
            w[p + "qkv.linear_k.weight"] = normal(h ** -0.5, cfg.kv_heads * d, h)
            w[p + "qkv.val_proj1.weight"] = normal(h ** -0.5, cfg.kv_heads * d // 2, h)
            w[p + "qkv.val_proj2.weight"] = normal(h ** -0.5, cfg.kv_heads * d // 2, h)
            w[p + "o_proj.weight"] = normal(out_std, h, cfg.q_heads * d)
            w[p + "qkv.conv_qk.0.weight"] = normal(0.5, c, 1, 2)
            w[p + "qkv.conv_qk.0.bias"] = torch.zeros(c)
            w[p + "qkv.conv_qk.1.weight"] = normal((2 * d) ** -0.5, c, d, 2)
            w[p + "qkv.conv_qk.1.bias"] = torch.zeros(c)
            w[p + "qkv.temp"] = torch.ones(cfg.kv_heads)
        else:
            p = block_prefix(i) + "router."
            w[p + "down_proj.weight"], w[p + "down_proj.bias"] = normal(h ** -0.5, p_dim, h), torch.zeros(p_dim)
            w[p + "rmsnorm_eda.weight"] = torch.ones(p_dim)
            for k in (0, 2):
                w[p + f"router_mlp.{k}.weight"] = normal(p_dim ** -0.5, p_dim, p_dim)
                w[p + f"router_mlp.{k}.bias"] = torch.zeros(p_dim)
            w[p + "router_mlp.4.weight"] = normal(p_dim ** -0.5, cfg.experts + 1, p_dim)
            w[p + "balancing_biases"] = torch.zeros(cfg.experts + 1)
            if i > 1:
                w[p + "router_states_scale"] = torch.full((p_dim,), 0.5)
            p = block_prefix(i) + "experts."
            w[p + "fc1"] = normal(h ** -0.5, cfg.experts, 2 * cfg.inner, h)
            w[p + "fc2"] = normal(2 * out_std, cfg.experts, h, cfg.inner)
    return w

"""The optimizer: Muon for the matrices of attention and experts, AdamW for everything else."""
import functools

import torch
import torch.distributed as dist


@functools.lru_cache(None)
def fast_bfloat16():
    """Whether this machine multiplies bfloat16 matrices faster than float32 ones."""
    if torch.cuda.is_available():
        return True
    try:
        with open("/proc/cpuinfo") as f:
            return "avx512_bf16" in f.read()
    except OSError:
        return False


def orthogonalize(g):
    """Newton-Schulz iteration: the nearest semi-orthogonal matrix, roughly.  [n, rows, cols], rows <= cols or not"""
    tall = g.shape[-2] > g.shape[-1]
    x = g.transpose(-1, -2) if tall else g
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    x = x.bfloat16() if fast_bfloat16() else x      # an update need not be precise
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = torch.baddbmm(x, torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.transpose(-1, -2) if tall else x).float()


def orthogonalize_shared(x):
    """orthogonalize [n, rows, cols]; with several workers each does its share of the matrices and gets the others'."""
    if not dist.is_initialized():
        return orthogonalize(x)
    mine = slice(dist.get_rank(), None, dist.get_world_size())
    out = torch.zeros_like(x)
    out[mine] = orthogonalize(x[mine])
    dist.all_reduce(out)
    return out


def is_matrix(key):
    return ".experts." in key or (".self_attn." in key and key.endswith((".linear_q.weight", ".linear_k.weight", ".val_proj1.weight", ".val_proj2.weight", ".o_proj.weight")))


class Optimizer:
    """Weights are a dict of leaf tensors; balancing_biases are not trained by gradient."""

    def __init__(self, weights, decay=0.05):
        self.weights, self.decay, self.steps = weights, decay, 0
        self.first = {k: torch.zeros_like(v) for k, v in weights.items()}
        self.second = {k: torch.zeros_like(v) for k, v in weights.items() if not is_matrix(k)}

    @torch.no_grad()
    def step(self, rate):
        self.steps += 1
        groups = {}
        for key, w in self.weights.items():
            if w.grad is None:
                continue
            if is_matrix(key):
                groups.setdefault((w.shape, key.endswith("fc1")), []).append(key)
            else:
                self._adam(key, w, rate)
        for keys in groups.values():
            self._muon(keys, rate)
        for w in self.weights.values():
            w.grad = None

    def _adam(self, key, w, rate):
        m, v, g = self.first[key], self.second[key], w.grad
        m.lerp_(g, 0.1)
        v.lerp_(g * g, 0.02)
        update = (m / (1 - 0.9 ** self.steps)) / ((v / (1 - 0.98 ** self.steps)).sqrt() + 1e-9)
        if w.dim() > 1:
            w.mul_(1 - rate * self.decay)
        w.sub_(update, alpha=rate * (0.5 if ".router." in key else 1.0))

    def _muon(self, keys, rate):
        rows = []
        for key in keys:
            m, g = self.first[key], self.weights[key].grad
            m.mul_(0.95).add_(g)
            rows.append(g.add(m, alpha=0.95))
        x = torch.stack(rows)
        if keys[0].endswith("fc1"):                  # gate and up are two matrices
            x = x.view(*x.shape[:2], 2, -1, x.shape[-1])
        update = orthogonalize_shared(x.flatten(0, -3)).reshape(len(keys), *self.weights[keys[0]].shape)
        scale = 0.2 * max(x.shape[-2:]) ** 0.5       # the size of an AdamW update
        for key, u in zip(keys, update):
            self.weights[key].mul_(1 - rate * self.decay).sub_(u, alpha=rate * scale)

    def state(self):
        return {"steps": self.steps, "first": self.first, "second": self.second}

    def load(self, state):
        self.steps, self.first, self.second = state["steps"], state["first"], state["second"]

"""PyTorch on the CPU, three ways: its fused attention on arrays of biases, its compiled attention with functions for
scores and masks, and its compiler on the formula written out.  What does not change between calls (arrays that are
added, block masks, keys with the sink) is made before the clock starts."""
from problem import NotAvailable

try:
    import torch
    MISSING = None
except ImportError as why:
    torch, MISSING = None, f"PyTorch is not installed ({why})"


class Torch:
    def __init__(self, folder, threads):
        if MISSING:
            raise NotAvailable(MISSING)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    def version(self):
        return f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"

    @staticmethod
    def tensors(*arrays):
        return [torch.from_numpy(a).unsqueeze(0) for a in arrays]


def compiled(function, problem, last=[None]):
    """Compiled for the shapes of this row alone: what is kept of other rows is given up, once a row."""
    if last[0] is not problem:
        torch.compiler.reset()
    last[0] = problem
    return torch.compile(function, dynamic=False, fullgraph=True)


class Sdpa(Torch):
    name = "sdpa"

    def prepare(self, problem):
        case, attend = problem.case, torch.nn.functional.scaled_dot_product_attention
        if case.cap or case.sigmoid:
            raise NotAvailable("has no way to change scores but by adding to them")
        q, k, v = self.tensors(problem.q, *problem.keys())
        if case.plain or case.prefix:
            return lambda: attend(q, k, v, is_causal=case.prefix)[0]
        added = torch.from_numpy(problem.added()).unsqueeze(0)
        return lambda: attend(q, k, v, attn_mask=added)[0]


class Flex(Torch):
    name = "flex"

    def prepare(self, problem):
        case = problem.case
        if case.sigmoid:
            raise NotAvailable("always divides weights by their sum")
        try:
            from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        except ImportError as why:
            raise NotAvailable(str(why))
        more = {name: torch.from_numpy(a) for name, a in problem.more.items()}
        q, k, v = self.tensors(problem.q, *problem.keys())
        n, logit = problem.n, more["logit"]

        def score(s, b, h, i, j):
            if case.cap:
                s = case.cap * torch.tanh(s / case.cap)
            if case.bias:
                s = s + case.bias(h, i, j, more)
            return torch.where(j == n, logit[h], s) if case.sink else s

        def mask(b, h, i, j):
            return case.allowed(i, j, more) | (j == n) if case.sink else case.allowed(i, j, more)

        changed = score if case.cap or case.bias or case.sink else None
        blocks = create_block_mask(mask, None, None, n, k.shape[2], device="cpu") if case.allowed else None
        attend = compiled(lambda q, k, v: flex_attention(q, k, v, score_mod=changed, block_mask=blocks), problem)
        return lambda: attend(q, k, v)[0]


class Formula(Torch):
    """For what the other two cannot say: products of matrices with elementwise functions between."""
    name = "compile"

    def prepare(self, problem):
        case = problem.case
        if not (case.cap or case.sigmoid):
            raise NotAvailable("left out where sdpa can express the model")
        q, k, v = self.tensors(problem.q, problem.k, problem.v)
        scale, shift = problem.scale, problem.shift()

        def formula(q, k, v):
            s = torch.matmul(q, k.transpose(-1, -2)) * scale
            if case.sigmoid:
                return torch.matmul(torch.sigmoid(s + shift), v)
            return torch.matmul(torch.softmax(case.cap * torch.tanh(s / case.cap), -1), v)

        attend = compiled(formula, problem)
        return lambda: attend(q, k, v)[0]

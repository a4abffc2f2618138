"""The table: rows of ratios out of the objects that workers report."""

COLUMNS = ("sdpa", "flex", "compile", "onednn", "numpy")
TITLE = {"sdpa": "sdpa", "flex": "flex", "compile": "compile", "onednn": "oneDNN", "numpy": "NumPy"}
NOISE = 0.03  # a ratio nearer to 1 says nothing
BUSY = 0.1    # the share of a processor that others took, from which on a row is marked


def of_rows(told):
    """{(case, n, d, threads): {"seconds": ours, PEER: its object}}, in the order of arrival."""
    rows = {}
    for one in told:
        if "case" not in one:
            continue
        row = rows.setdefault((one["case"], one["n"], one["d"], one["threads"]), {})
        if "peer" in one:
            row[one["peer"]] = one
        else:
            row["seconds"], row["busy"] = one["seconds"], one.get("busy", 0)
    return rows


def head(columns):
    return f"{'model':<10} {'N':>5} {'D':>4} {'T':>2} {'attn ms':>9}" + "".join(f" {TITLE[c]:>8}" for c in columns)


def cell(one):
    if one is None:
        return "-"
    return f"{one['ratio']:.2f}" if "ratio" in one else "wrong" if one.get("wrong") else "-"


def line(key, row, columns):
    case, n, d, threads = key
    own = f"{1e3 * row['seconds']:9.2f}" if "seconds" in row else f"{'-':>9}"
    mark = " *" if row.get("busy", 0) > BUSY else ""
    return f"{case:<10} {n:>5} {d:>4} {threads:>2} {own}" + "".join(f" {cell(row.get(c)):>8}" for c in columns) + mark


def reasons(told):
    """Lines that say why cells are empty: each reason once, with the models it holds for."""
    found = {}
    for one in told:
        if "reason" in one:
            models = found.setdefault((one.get("peer", f"{one.get('threads')} threads"), one["reason"]), [])
            if one.get("case") and one["case"] not in models:
                models.append(one["case"])
    for (peer, reason), models in found.items():
        yield f"{TITLE.get(peer, peer)}{' on ' + ', '.join(models) if models else ': not available'}: {reason}"


def wins(rows, columns):
    """Lines for the peers' wins, the largest first, ours being longest behind; and one when there are none."""
    behind = sorted((row[c]["ratio"], key, c) for key, row in rows.items() for c in columns
                    if "ratio" in row.get(c, {}) and row[c]["ratio"] < 1 - NOISE)
    for ratio, (case, n, d, threads), peer in behind:
        yield f"{TITLE[peer]} wins on {case}, N = {n}, D = {d}, T = {threads}: attn takes {1 / ratio:.2f} times as long"
    ratios = [row[c]["ratio"] for row in rows.values() for c in columns if "ratio" in row.get(c, {})]
    even, ahead = sum(abs(r - 1) <= NOISE for r in ratios), sum(r > 1 + NOISE for r in ratios)
    yield (f"of {len(ratios)} ratios attn is ahead in {ahead}, within {100 * NOISE:.0f} % in {even}, "
           f"behind in {len(behind)}")


def markdown(rows, columns):
    yield "| model | N | D | T | attn ms | " + " | ".join(TITLE[c] for c in columns) + " |"
    yield "|---|" + "---:|" * (4 + len(columns))
    for (case, n, d, threads), row in rows.items():
        own = f"{1e3 * row['seconds']:.2f}" if "seconds" in row else "-"
        cells = [case, n, d, threads, own, *(cell(row.get(c)) for c in columns)]
        yield "| " + " | ".join(map(str, cells)) + " |"

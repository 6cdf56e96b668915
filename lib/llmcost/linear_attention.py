"""Attention as arrays: softmax, the kernel that replaces it, and the state that a kernel allows, in every form in use.

Queries and keys are [..., tokens, d_key], values [..., tokens, d_value]; results have the shape of the values. A state is
[..., d_key, d_value]. Five rules differ in two things: whether the state decays before it takes in a token, and whether it takes in
the value or only what it does not say yet (`delta`). Each can be computed token by token or in chunks; one chunk is the parallel form.

Sources: Katharopoulos 2020; Schlag 2021; Yang 2024 (Gated DeltaNet), section 3; Kimi Team 2025, section 3.
"""

import numpy

# --- softmax ------------------------------------------------------------------------------------

def softmax_attention(queries, keys, values, window=None):
    """Causal softmax attention; with `window`, each token sees itself and the `window` - 1 before it."""
    return _weighted(_scores(queries, keys), _visible(queries.shape[-2], window), values)


def selected_attention(queries, keys, values, index, top_k):
    """Causal softmax attention over the `top_k` entries of the highest `index` [..., tokens, tokens], as an indexer chooses them."""
    causal = _visible(queries.shape[-2])
    ranked = numpy.where(causal, index, -numpy.inf)
    kept = min(top_k, ranked.shape[-1])
    least = numpy.sort(ranked, axis=-1)[..., -kept][..., None]
    return _weighted(_scores(queries, keys), causal & (ranked >= least), values)


def _scores(queries, keys):
    return queries @ keys.swapaxes(-1, -2) / numpy.sqrt(queries.shape[-1])


def _visible(tokens, window=None):
    behind = numpy.arange(tokens)[:, None] - numpy.arange(tokens)
    return (behind >= 0) & (behind < (window or tokens))


def _weighted(scores, visible, values):
    scores = numpy.where(visible, scores, -numpy.inf)
    weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ values


# --- kernels --------------------------------------------------------------------------------------

def elu_plus_one(x):
    """Katharopoulos's feature map: positive everywhere."""
    return numpy.where(x > 0, x + 1, numpy.exp(numpy.minimum(x, 0)))


def relu(x):
    """Zero for what is negative: a query or a key may vanish."""
    return numpy.maximum(x, 0)


def identity(x):
    """No feature map: similarities may be negative, and cancel."""
    return x


KERNELS = {"elu + 1": elu_plus_one, "ReLU": relu, "none": identity}


def global_form(queries, keys, values, eps=0.0):
    """The form that leaks: one sum over all tokens, those to come among them. Right for an encoder, wrong for a language model."""
    sums = keys.swapaxes(-1, -2) @ values
    return queries @ sums / (queries @ keys.sum(axis=-2)[..., None] + eps)


def normalized(queries, keys, values, form, eps=0.0, **given):
    """Linear attention whose weights add up to one, by any `form` below.

    The normalizer is the sum of the keys so far: a further column of the state, for a value that is always 1.
    """
    ones = numpy.ones((*values.shape[:-1], 1), values.dtype)
    found, _ = form(queries, keys, numpy.concatenate([values, ones], axis=-1), **given)
    return found[..., :-1] / (found[..., -1:] + eps)


# --- one recurrence, two ways to compute it ---------------------------------------------------------

def recurrent_form(queries, keys, values, decay=1.0, write=1.0, delta=False, state=None):
    """Token by token: the state decays, takes in the token, and is read. Returns the outputs and the last state.

    `decay` [..., tokens, 1 or d_key] multiplies rows of the state, `write` [..., tokens, 1] what is taken in. With `delta` that is
    the value less what the state already says of the key.
    """
    decay, write, state = _filled(keys, values, decay, write, state)
    rows = []
    for t in range(keys.shape[-2]):
        key = keys[..., t, :]
        state = state * decay[..., t, :, None]
        known = (key[..., None, :] @ state)[..., 0, :] if delta else 0
        state = state + key[..., None] * (write[..., t, :] * (values[..., t, :] - known))[..., None, :]
        rows.append((queries[..., t, None, :] @ state)[..., 0, :])
    return numpy.stack(rows, axis=-2), state


def chunked_form(queries, keys, values, decay=1.0, write=1.0, delta=False, state=None, chunk=0):
    """The same in chunks of `chunk` tokens, all tokens of a chunk at once; 0 is one chunk, the parallel form.

    A token reads the state from before its chunk, and its chunk through a masked product. With `delta` the tokens of a chunk also
    correct each other: a triangular system, solved once for each chunk.
    """
    decay, write, state = _filled(keys, values, decay, write, state)
    tokens, rows = keys.shape[-2], []
    for begin in range(0, tokens, chunk or tokens):
        part = slice(begin, begin + (chunk or tokens))
        q, k, v, w = (x[..., part, :] for x in (queries, keys, values, write))
        faded = numpy.cumsum(numpy.log(decay[..., part, :]), axis=-2)  # decay since the chunk began, of each token
        causal = numpy.tri(k.shape[-2], dtype=bool)
        v = w * v
        if delta:
            strict = causal & ~numpy.eye(len(causal), dtype=bool)
            system = numpy.eye(len(causal)) + w * _faded_products(k, k, faded, strict)
            v = numpy.linalg.solve(system, v - w * ((k * numpy.exp(faded)) @ state))
        rows.append((q * numpy.exp(faded)) @ state + _faded_products(q, k, faded, causal) @ v)
        last = faded[..., -1:, :]
        state = numpy.exp(last).swapaxes(-1, -2) * state + (k * numpy.exp(last - faded)).swapaxes(-1, -2) @ v
    return numpy.concatenate(rows, axis=-2), state


def _filled(keys, values, decay, write, state):
    """Decay and write gates in full, and a state to begin with."""
    decay = numpy.broadcast_to(decay, keys.shape)
    write = numpy.broadcast_to(write, (*keys.shape[:-1], 1))
    return decay, write, numpy.zeros((*keys.shape[:-2], keys.shape[-1], values.shape[-1])) if state is None else state


def _faded_products(queries, keys, faded, mask):
    """Products of each query and key that `mask` lets meet, each channel decayed from the key's token to the query's."""
    since = numpy.where(mask[..., None], faded[..., :, None, :] - faded[..., None, :, :], -numpy.inf)
    return (queries[..., :, None, :] * keys[..., None, :, :] * numpy.exp(since)).sum(axis=-1)


# --- what a form may know --------------------------------------------------------------------------

def depends_on(form, queries, keys, values, nudge=1.0):
    """Which outputs change when the key and value of a token change: [tokens, tokens], rows for outputs, by trying each.

    Nothing above the diagonal may be true in a model that writes from left to right.
    """
    before = form(queries, keys, values)
    found = []
    for t in range(keys.shape[-2]):
        moved = numpy.zeros((keys.shape[-2], 1))
        moved[t] = nudge
        after = form(queries, keys + moved, values + moved)
        found.append(~numpy.isclose(before, after, rtol=1e-9, atol=1e-12).all(axis=-1))
    return numpy.stack(found, axis=-1)


def recall_error(pairs, width, delta, seed=0):
    """Root mean square of what is wrong when a state of `width` x `width` is asked for each of `pairs` values, over that of the values.

    Keys and values are random, keys of length one; each is written once, and read with its own key at the end.
    """
    random = numpy.random.default_rng(seed)
    keys, values = random.normal(size=(2, pairs, width))
    keys /= numpy.linalg.norm(keys, axis=-1, keepdims=True)
    _, state = recurrent_form(keys, keys, values, delta=delta)
    return float(numpy.sqrt(((keys @ state - values) ** 2).mean() / (values ** 2).mean()))

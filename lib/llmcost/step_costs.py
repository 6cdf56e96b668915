"""What a step of an engine costs, as the simulation asks for it: any mix of prompt tokens and decoding sequences.

The same formulas as in `llmcost.serving`, evaluated once for each number of tokens and for many contexts, so that a simulation
can ask millions of times. A whole prompt alone costs what `Service.prefill_seconds` says, a decode step what `Service.step` says.
Sequences of different lengths count with their mean: exact for state that grows with every token, close for windows.
"""

import numpy

from . import attention_work, engine_steps, moe, parallelism, phases, roofline
from .layouts import LayoutError
from .serving import Service

CONTEXTS = 4096  # places at which what depends on the context is computed; between them a straight line


class StepCosts:
    """A function of (prompt tokens, pairs, decoding sequences, their contexts together) for `llmcost.scheduling.simulate`.

    Raises `LayoutError` for pipeline stages, which hold several batches at once.
    """

    def __init__(self, service: Service, max_tokens: int = 8192, max_context: int = 131_072):
        if service.layout.stages > 1:
            raise LayoutError(f"{service.layout} has stages, which hold several batches at once; the simulation knows one batch")
        value = service.value
        self.service, tokens = service, numpy.arange(max_tokens + service.max_sequences + 1)
        message = value(parallelism.stream_bytes, pass_tokens=tokens)
        some = numpy.maximum(tokens, 1)
        self.weights = value(engine_steps.weight_step_seconds, experts_touched=value(moe.experts_touched, batch=some)) + 0.0 * tokens
        self.passing = value(parallelism.tensor_seconds, message_bytes=message) + 0.0 * tokens
        self.fixed = value(engine_steps.fixed_step_seconds)
        self.contexts = numpy.unique(numpy.concatenate([numpy.geomspace(1, max_context, CONTEXTS), self._kinks(max_context)]))
        self.state = value(engine_steps.state_step_seconds, batch=1, context=self.contexts)
        self.per_flop = value(roofline.computing_seconds, work_flops=1)
        self.decode_flops = value(phases.decode_flops, batch=1, context=self.contexts)
        prompts = 2 * self.contexts - 1  # whose tokens see so many others, themselves included, on average
        self.pair_flops = value(attention_work.prefill_attention_flops, prompt_tokens=prompts) / prompts
        self.body_flops = (value(phases.prefill_flops, prompts=1, prompt_tokens=1, prefill_attention_flops=0)
                           - value(phases.prefill_flops, prompts=1, prompt_tokens=0, prefill_attention_flops=0))
        self.head_flops = value(phases.prefill_flops, prompts=1, prompt_tokens=0, prefill_attention_flops=0)

    def _kinks(self, most):
        """Contexts at which a window or a selection fills up, or a chunk begins anew, where lines have corners."""
        groups = self.service.model.facts["layers"]
        found = [group[name] for group in groups for name in ("window", "index_top_k") if group.get(name)]
        starts = [numpy.arange(group["chunk"], most, group["chunk"]) for group in groups if group.get("chunk")]
        return numpy.minimum(numpy.concatenate([found, *starts, *(start + 1 for start in starts)]), most)

    def __call__(self, prompt_tokens, pairs, decoding, contexts):
        """Seconds of steps; `contexts` is an array, one for each step, and so is the result."""
        mean = numpy.asarray(contexts, dtype=float) / max(decoding, 1)
        reading = decoding * numpy.interp(mean, self.contexts, self.state)
        flops = decoding * numpy.interp(mean, self.contexts, self.decode_flops)
        tokens = int(prompt_tokens + decoding)
        if prompt_tokens:
            seen = pairs / prompt_tokens
            flops = flops + prompt_tokens * (self.body_flops + numpy.interp(seen, self.contexts, self.pair_flops)) + self.head_flops
            before = seen - (prompt_tokens + 1) / 2  # of one prompt; what earlier chunks left is read again
            reading = reading + (numpy.interp(before, self.contexts, self.state) if before >= 1 else 0.0)
        work = numpy.maximum(reading + self.weights[tokens], flops * self.per_flop)
        return work + self.passing[tokens] + self.fixed

"""What a step of an engine costs, as the simulation asks for it: any mix of prompt tokens and decoding sequences.

The same formulas as in `llmcost.serving`, evaluated once for each number of tokens and for many contexts, so that a simulation
can ask millions of times. A whole prompt alone costs what `Service.prefill_seconds` says, a decode step what `Service.step` says,
and a chunk of a prompt computes what the whole computes more with it. Sequences of different lengths count with their mean: exact
for state that grows with every token, close for windows.
"""

import numpy

from . import attention_work, engine_steps, moe, parallelism, phases, roofline
from .layouts import LayoutError
from .serving import CapacityError, Service

CONTEXTS = 4096  # places at which what depends on the context is computed; between them a straight line


class StepCosts:
    """A function of (prompt tokens, pairs, decoding sequences, their contexts together) for `llmcost.scheduling.simulate`.

    Raises `LayoutError` for pipeline stages, which hold several batches at once; when called, `CapacityError` for a step beyond
    `max_tokens` in prompts or `max_context` in a sequence.
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
        """Contexts at which a window or a selection fills up, or a chunk begins anew, where lines have corners.

        So do prompts of that length, whose tokens see half of it.
        """
        facts = self.service.model.facts
        starts = numpy.arange(facts["chunk"], 2 * most, facts["chunk"])
        lengths = numpy.concatenate([[facts["window"], facts["index_top_k"]], starts, starts + 1])
        return numpy.minimum(numpy.concatenate([lengths, (lengths + 1) / 2]), most)

    def _attention_flops(self, tokens):
        """Of a whole prompt."""
        return tokens * numpy.interp((tokens + 1) / 2, self.contexts, self.pair_flops)

    def __call__(self, prompt_tokens, pairs, decoding, contexts):
        """Seconds of steps; `contexts` is an array, one for each step, and so is the result."""
        mean = numpy.asarray(contexts, dtype=float) / max(decoding, 1)
        seen = pairs / max(prompt_tokens, 1)
        before = seen - (prompt_tokens + 1) / 2  # of one prompt, what earlier chunks left; of several, which begin anew, below 0
        longest = max(mean.max(), before + prompt_tokens)
        if longest > self.contexts[-1] or prompt_tokens + decoding >= len(self.weights):
            raise CapacityError(f"a step of {prompt_tokens + decoding:,.0f} tokens after {longest:,.0f} others; its costs were laid out "
                                f"for {len(self.weights) - 1:,} after {self.contexts[-1]:,.0f}: pass max_tokens= or max_context=")
        reading = decoding * numpy.interp(mean, self.contexts, self.state)
        flops = decoding * numpy.interp(mean, self.contexts, self.decode_flops)
        tokens = int(prompt_tokens + decoding)
        if prompt_tokens:
            chunk = self._attention_flops(before + prompt_tokens) - self._attention_flops(before) if before >= 0 else (
                prompt_tokens * numpy.interp(seen, self.contexts, self.pair_flops))
            flops = flops + prompt_tokens * self.body_flops + chunk + self.head_flops
            reading = reading + (numpy.interp(before, self.contexts, self.state) if before >= 1 else 0.0)  # earlier chunks again
        work = numpy.maximum(reading + self.weights[tokens], flops * self.per_flop)
        return work + self.passing[tokens] + self.fixed

"""Samples texts from the model, many per prompt.

It inserts the leads between plan, title and text as the engine does.
"""

import torch

import gemma


class Rollout:
    """A buffer for `rows` prompts of at most `length` tokens, with `each` texts per prompt and
    `new` tokens per text.

    At temperature 0 it decodes greedily.
    """

    def __init__(self, model, rows, each, length, new, temperature, queue=24):
        self.model, self.rows, self.each, self.length, self.new, self.temperature = model, rows, each, length, new, temperature
        make = lambda *shape, kind=torch.long, fill=0: torch.full(shape, fill, dtype=kind, device=model.device)
        cache = lambda *shape: [make(*shape, model.head, kind=model.dtype) for _ in range(model.layers)]
        self.prompt = cache(rows, length), cache(rows, length)
        self.own = cache(rows, each, new), cache(rows, each, new)
        self.cached = make(rows)  # tokens of the prompt in the cache: all but the last
        self.step = make(1)
        self.token = make(rows, each)
        # Tokens to insert after a line: the leads in sequence, each terminated by -1.
        self.queue, self.leads = make(rows, queue, fill=-1), make(rows)
        self.at, self.phase = make(rows, each, fill=-1), make(rows, each)
        self.finished = make(rows, each, kind=torch.bool)
        self.out, self.phases = make(rows, each, new, fill=-1), make(rows, each, new)
        self.drawn = make(rows, each, new, kind=torch.bool)
        self.line = torch.tensor(model.token[b"\n"], device=model.device)
        ends = [p.startswith(b"\n") or p in (b"<eos>", b"<end_of_turn>") for p in model.pieces]
        self.ends = torch.tensor(ends, device=model.device)
        self.linear, self.graph = {}, None

    @torch.no_grad()
    def write(self, prompts, leads):
        """Generates texts after the prompts.

        Returns the tokens (rows, each, new) with -1 after the end, a mask of the sampled tokens,
        and the phase of each token. `leads` holds, for every prompt, the token lists that open its
        later phases.
        """
        model, device = self.model, self.model.device
        for name, weight in model.merged().items():
            # Copy in place: the CUDA graph reads the addresses of the first weights.
            self.linear[name].copy_(weight) if name in self.linear else self.linear.update({name: weight})
        assert len(prompts) <= self.rows and max(map(len, prompts)) <= self.length
        ids = torch.zeros(self.rows, self.length, dtype=torch.long)
        self.queue.fill_(-1)
        cached, queue = torch.zeros(self.rows, dtype=torch.long), self.queue.cpu()
        last, number = torch.zeros(self.rows, dtype=torch.long), torch.zeros(self.rows, dtype=torch.long)
        for n, (prompt, lead) in enumerate(zip(prompts, leads)):
            ids[n, : len(prompt)] = torch.tensor(prompt)
            cached[n], last[n], number[n] = len(prompt) - 1, prompt[-1], len(lead)
            flat = [t for tokens in lead for t in [*tokens, -1]]
            queue[n, : len(flat)] = torch.tensor(flat, dtype=torch.long)
        self.cached.copy_(cached), self.leads.copy_(number), self.queue.copy_(queue)
        self.read(ids[: len(prompts)].to(device))
        self.token.copy_(last.to(device).unsqueeze(1).expand(-1, self.each))
        for tensor, value in [(self.step, 0), (self.at, -1), (self.phase, 0), (self.out, -1), (self.drawn, 0), (self.phases, 0)]:
            tensor.fill_(value)
        self.finished.copy_((torch.arange(self.rows, device=device) >= len(prompts)).unsqueeze(1).expand_as(self.finished))
        if device.type == "cuda" and self.graph is None:
            self.capture()
        for n in range(self.new):
            self.graph.replay() if self.graph else self.advance()
            if n % 16 == 15 and bool(self.finished.all()):
                break
        return self.out[: len(prompts)].cpu(), self.drawn[: len(prompts)].cpu(), self.phases[: len(prompts)].cpu()

    def read(self, ids, chunk=32):
        places = torch.arange(self.length, device=ids.device).unsqueeze(0)
        masks = self.model.masks(places, torch.zeros_like(places))
        linear = lambda name, x: torch.nn.functional.linear(x, self.linear[name])
        for first in range(0, len(ids), chunk):
            here = slice(first, min(first + chunk, len(ids)))
            keep = []
            self.model.hidden(ids[here], places, masks, linear, keep)
            for n, (k, v) in enumerate(keep):
                self.prompt[0][n][here], self.prompt[1][n][here] = k, v

    def capture(self):
        saved = [t.clone() for t in self.state()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.advance()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.advance()
        for tensor, value in zip(self.state(), saved):
            tensor.copy_(value)

    def state(self):
        return [self.step, self.token, self.at, self.phase, self.finished, self.out, self.drawn, self.phases]

    def attend(self, masks):
        def attend(n, q, k, v):
            (kp, vp), (ko, vo) = (c[n] for c in self.prompt), (c[n] for c in self.own)
            ko.index_copy_(2, self.step, k.unsqueeze(2))
            vo.index_copy_(2, self.step, v.unsqueeze(2))
            flat = q.flatten(1, 2)
            read = (flat @ kp.transpose(1, 2)).unflatten(1, (self.each, self.model.heads))
            scores = torch.cat([read, q @ ko.transpose(2, 3)], -1).float() * self.model.head**-0.5
            mask = masks[gemma.everywhere(n)]
            share = scores.masked_fill(~mask, -torch.inf).softmax(-1).to(self.model.dtype)
            y = (share[..., : self.length].flatten(1, 2) @ vp).unflatten(1, (self.each, self.model.heads))
            return y + share[..., self.length :] @ vo

        return attend

    def advance(self):
        """Generates one more token of every text, in place."""
        model = self.model
        places = self.cached.unsqueeze(1) + self.step
        read = torch.arange(self.length, device=model.device)
        seen = read < self.cached.unsqueeze(1)
        near = seen & (read > places - model.window)
        own = (torch.arange(self.new, device=model.device) <= self.step).expand(self.rows, -1)
        masks = [torch.cat([m, own], 1)[:, None, None] for m in (near, seen)]
        turn, x = model.turn(places.expand(-1, self.each)), model.embed(self.token)
        linear = lambda name, h: torch.nn.functional.linear(h, self.linear[name])
        attend = self.attend(masks)
        for n in range(model.layers):
            x = model.layer(n, x, turn, attend, linear)
        logits = model.logits(model.norm(x, "output_norm").to(model.dtype))
        if self.temperature:
            # The argmax of probabilities divided by exponential variates is a sample from them.
            logits = (logits / self.temperature).softmax(-1) / torch.empty_like(logits).exponential_()
        token = model.vocabulary[logits.argmax(-1)]

        given = self.at >= 0
        token = torch.where(given, self.queue.gather(1, self.at.clamp(min=0)), token)
        ended = ~given & self.ends[token]
        goes_on = ended & (token == self.line) & (self.phase < self.leads.unsqueeze(1)) & ~self.finished
        self.drawn.index_copy_(2, self.step, (~given & ~self.finished).unsqueeze(2))
        self.out.index_copy_(2, self.step, torch.where(self.finished, -1, token).unsqueeze(2))
        self.phases.index_copy_(2, self.step, self.phase.unsqueeze(2))
        self.finished |= ended & ~goes_on
        # The next lead starts after as many terminators as there were phases.
        passed = (self.queue == -1).cumsum(1).unsqueeze(1) < self.phase.unsqueeze(2)
        start = torch.where(self.phase > 0, passed.sum(-1) + 1, 0)
        after = torch.where(given, self.at + 1, -1)
        over = given & (self.queue.gather(1, after.clamp(min=0, max=self.queue.shape[1] - 1)) == -1)
        self.at.copy_(torch.where(goes_on, start, torch.where(over, -1, after)))
        self.phase += goes_on
        self.token.copy_(token)
        self.step += 1

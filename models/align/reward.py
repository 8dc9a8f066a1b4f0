"""The reward of a generated text: its overlap with the true text and its style.

ROUGE-1 and METEOR are those of the evaluation, METEOR without stems, synonyms and chunks. Both
count common words, and METEOR weights recall nine times as much as precision. The style measure is
the engine's reranking score: character 3- to 5-grams, log tf x idf, and the cosine with other texts
by the author minus its mean with the five nearest impostors.
"""

import json
import math
import random
import re
import zlib
from collections import Counter

import numpy as np

STYLES = 1 << 15  # number of hash values for n-grams
IMPOSTORS, NEAREST, TEXTS = 64, 5, 8
COPY = 8  # words in a row that count as copied


def overlap(written, true):
    """Returns precision and recall of words."""
    common = sum((Counter(written) & Counter(true)).values())
    return common / max(len(written), 1), common / max(len(true), 1)


def words(text):
    """Returns the words by ROUGE's definition."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge1(written, true):
    p, r = overlap(words(written), words(true))
    return 2 * p * r / max(p + r, 1e-9)


def meteor(written, true):
    tokens = lambda text: re.findall(r"\w+|[^\w\s]+", text.lower())
    p, r = overlap(tokens(written), tokens(true))
    return 10 * p * r / max(r + 9 * p, 1e-9)


def eights(text):
    all = words(text)
    return {tuple(all[n : n + COPY]) for n in range(len(all) - COPY + 1)}


def grams(text):
    """Returns the frequency of each n-gram by its hash."""
    text = " ".join(text.lower().split()).encode()
    return Counter(zlib.crc32(text[n : n + k]) % STYLES for k in (3, 4, 5) for n in range(len(text) - k + 1))


class Styles:
    """The style vectors of authors, from their other texts."""

    def __init__(self, files, fewest, seed):
        self.texts = {}
        for file in files:
            for line in file.open():
                person = json.loads(line)
                texts = [i["text"] for i in [*person["history"], person["target"]]]
                if len(texts) > fewest:
                    self.texts[person["user"]] = texts
        people = sorted(self.texts)
        counts = {user: grams(" ".join(self.texts[user][-TEXTS:])) for user in people}
        have = Counter(gram for c in counts.values() for gram in c)
        self.idf = np.array([math.log((1 + len(people)) / (1 + have[g])) + 1 for g in range(STYLES)])
        self.others = random.Random(seed).sample(people, min(IMPOSTORS, len(people)))
        vectors = np.zeros((len(self.others), STYLES), dtype=np.float32)
        for row, user in zip(vectors, self.others):
            places, values = self.style(counts[user])
            row[places] = values
        self.vectors = vectors
        self.own = {}

    def style(self, counts):
        places = np.fromiter(counts, dtype=np.int64, count=len(counts))
        values = (1 + np.log(np.fromiter(counts.values(), dtype=np.float64, count=len(counts)))) * self.idf[places]
        return places, values / max(np.linalg.norm(values), 1e-9)

    def margin(self, user, true, written):
        """Returns the similarity to the author's other texts minus that to the nearest impostors.

        Returns None for authors with too few texts.
        """
        if user not in self.texts:
            return None
        if (user, true) not in self.own:
            mine = [t for t in self.texts[user] if not alike(t, true)]
            vector = np.zeros(STYLES, dtype=np.float32)
            places, values = self.style(grams(" ".join(mine[-TEXTS:])))
            vector[places] = values
            self.own[user, true] = vector
        places, values = self.style(grams(written))
        others = self.vectors[:, places] @ values
        others = np.sort(others[[o != user for o in self.others]])[-NEAREST:]
        return float(self.own[user, true][places] @ values - others.mean())


def alike(a, b):
    """Returns whether one text is a prefix of the other, ignoring differences in white space."""
    a, b = " ".join(a.split()), " ".join(b.split())
    return a.startswith(b) or b.startswith(a)


def measures(task, user, true, shown, written, styles):
    """Returns ROUGE-1, METEOR, the style margin and the copied share.

    The copied share is the share of the text's eight-word runs that are in `shown`, the runs of the
    prompt.
    """
    mine = eights(written)
    copied = len(mine & shown) / len(mine) if mine else 0.0
    margin = styles.margin(user, true, written) if styles and task in ("text", "synthetic") else None
    return rouge1(written, true), meteor(written, true), margin, copied


def reward(task, values, style):
    """Returns the reward from the measures. Titles count by ROUGE-1 alone."""
    common, recall, margin, copied = values
    if task == "title":
        return common
    return ((common + recall) / 2 + style * (margin or 0.0)) * (1 - copied)

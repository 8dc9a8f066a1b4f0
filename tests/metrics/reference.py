"""Prints reference values of the public packages for pairs of texts and for words.

Reads JSON lines on stdin: {"prediction", "reference"} or {"word"}. Prints one JSON value per line:
[rouge1, rougeL, meteor] or the Porter stem.
"""

import json
import os
import shutil
import sys
import tempfile

import nltk
from nltk.stem.porter import PorterStemmer
from nltk.tokenize import wordpunct_tokenize
from nltk.translate.meteor_score import meteor_score
from rouge_score.rouge_scorer import RougeScorer


def give_wordnet(source, folder):
    """Copies Debian's WordNet files to NLTK's search path, and adds the list of lexicographer files
    that they lack."""
    corpus = os.path.join(folder, "corpora", "wordnet")
    os.makedirs(corpus)
    for name in os.listdir(source):
        if name.startswith(("index.", "data.", "cntlist")) or name.endswith(".exc"):
            shutil.copy(os.path.join(source, name), corpus)
    with open(os.path.join(corpus, "lexnames"), "w") as out:
        out.writelines(f"{n:02d}\tfile{n}\t1\n" for n in range(45))
    open(os.path.join(corpus, "index.sense"), "a").close()
    nltk.data.path.insert(0, folder)


def main():
    source = os.environ.get("LOCKET_WORDNET", "/usr/share/wordnet")
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
    stemmer = PorterStemmer()
    with tempfile.TemporaryDirectory() as folder:
        give_wordnet(source, folder)
        for line in sys.stdin:
            task = json.loads(line)
            if "word" in task:
                print(json.dumps(stemmer.stem(task["word"])))
                continue
            prediction, reference = task["prediction"], task["reference"]
            rouge = scorer.score(reference, prediction)
            tokens = [wordpunct_tokenize(t.lower()) for t in (reference, prediction)]
            meteor = meteor_score([tokens[0]], tokens[1])
            print(json.dumps([rouge["rouge1"].fmeasure, rouge["rougeL"].fmeasure, meteor]))


if __name__ == "__main__":
    main()

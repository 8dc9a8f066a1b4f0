#!/bin/sh
# Trains the adapter for any writing on the data with open licences, and writes OUT.
#
#   models/align/open.sh RUN OUT [MINUTES]
#
# RUN keeps the examples, the checkpoints and the log; the same command continues. DATA is the folder
# of the sets, LOCKET the command, PY a Python with models/align/requirements.txt, MODEL the base
# model, INIT an adapter to begin with. On a GPU the trainer uses it; on processors it takes about an hour for a million tokens.
set -eu
cd "$(dirname "$0")/../.."
RUN=$1 OUT=$2 MINUTES=${3:-120}
: "${DATA:=../shared/data}" "${LOCKET:=target/debug/locket}" "${PY:=target/venv-align/bin/python3}"
: "${MODEL:=${LOCKET_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/locket/models}/gemma-3-270m-q4_k_m.gguf}"
# The writer of notes without a licence.
UNLICENSED=e52d505c929b151d
mkdir -p "$RUN"

clean() {
	set=$1 file=$2; shift 2
	[ -s "$RUN/$set.profiles.jsonl" ] || "$PY" models/align/prepare.py "$DATA/$file" --out "$RUN/$set.profiles.jsonl" --skip-user "$UNLICENSED" "$@"
}
examples() {
	set=$1; shift
	[ -s "$RUN/$set.jsonl" ] || "$LOCKET" align examples --profiles "$RUN/$set.profiles.jsonl" --model "$MODEL" --given 60,12,6 --out "$RUN/$set.jsonl" "$@"
}
left_out() {
	[ -s "$RUN/$1.left-out.jsonl" ] || "$LOCKET" align examples --profiles "$RUN/$1.profiles.jsonl" --model "$MODEL" --given 60,10,5 --left-out \
		--per-person 1 --tasks 100,0,0,0 --planned 0 --limit 40 --out "$RUN/$1.left-out.jsonl"
}

for set in chat irc notes; do clean "$set" "$set/profiles_dev.jsonl.zst"; done
for set in foodcom airbnb; do clean "$set" "$set/profiles_dev.jsonl.zst" --titles; done
clean others airbnb/population.jsonl.zst --titles
examples chat --per-person 8 --tasks 100,0,0,0
examples irc --per-person 2 --tasks 100,0,0,0 --limit 1500
examples foodcom --per-person 8 --tasks 55,15,15,15 --planned 10 --neighbours 2
examples airbnb --per-person 4 --tasks 55,15,0,30 --planned 10 --neighbours 2
examples notes --validation 0 --per-person 60 --tasks 85,15,0,0
examples others --per-person 2 --tasks 55,15,0,30 --planned 10 --neighbours 2 --limit 1000
for set in chat irc foodcom airbnb; do left_out "$set"; done

# Without these, glibc returns the tensors' memory to the system at every step.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592
exec "$PY" models/align/train.py --model "$MODEL" --compile --step-tokens 3600 --run "$RUN/train" --out "$OUT" --minutes "$MINUTES" ${INIT:+--init "$INIT"} \
	--examples "$RUN"/chat.jsonl "$RUN"/irc.jsonl "$RUN"/foodcom.jsonl "$RUN"/airbnb.jsonl "$RUN"/notes.jsonl "$RUN"/others.jsonl \
	--validation "$RUN"/chat.left-out.jsonl "$RUN"/irc.left-out.jsonl "$RUN"/foodcom.left-out.jsonl "$RUN"/airbnb.left-out.jsonl

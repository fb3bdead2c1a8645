# The trained model of the repository answers: zaya smoke passes, and a calculator call comes out as one.
set -euo pipefail
zaya=$1 scratch=$3
source "$(dirname "$0")/helpers"
nano=$(cd "$(dirname "$0")/../../models/nano" && pwd)

"$zaya" smoke "$nano" -o "$scratch/smoke.json"
"$zaya" smoke "$nano" --exact
is "0 7" "$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(d["failed"], len(d["cases"]))' "$scratch/smoke.json")"
is "The capital of France is Paris." "$("$zaya" run -m "$nano" -p 'What is the capital of France?' --thinking off --temp 0)"

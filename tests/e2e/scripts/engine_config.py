"""What vLLM says of engine arguments before it starts: a list of them on stdin, a line of JSON for each on stdout."""

import json
import sys

from vllm.engine.arg_utils import AsyncEngineArgs

said = sys.stdout
sys.stdout = sys.stderr  # vLLM logs there
for arguments in json.load(sys.stdin):
    try:
        config = AsyncEngineArgs(**arguments).create_engine_config()
    except Exception as error:  # noqa: BLE001 - each refusal is of a kind of its own
        print(json.dumps({"accepted": False, "why": str(error)[:500]}), file=said)
    else:
        model = config.model_config
        answer = {"accepted": True, "max_model_len": model.max_model_len, "quantization": model.quantization}
        print(json.dumps(answer), file=said)

"""Made-up studies that look like a search: a third over a limit, some failed, the rest ever nearer to a front."""

import random
from dataclasses import replace

from tinynas.config import Config
from tinynas.cost import Cost, Flash, Sram, Validity
from tinynas.study.store import Finalist, Store, Trial

VALIDITY = Validity(board="netduinoplus2", clock_hz=168_000_000, toolchain="gcc 12", flags="-O2", firmware="ab" * 32)
FACTS = {
    "config": Config().model_dump(mode="json"),
    "board": "netduinoplus2",
    "task": {
        "name": "digits",
        "input_shape": [8, 8, 1],
        "class_names": [str(digit) for digit in range(10)],
        "digest": "0123456789abcdef" * 4,
        "source": "scikit-learn",
        "sizes": [1200, 300, 297],
    },
    "space": {"name": "image", "axes": []},
    "seed": 7,
    "tinynas": "0.1.0",
    "bounds": {"latency_us": 20_000.0, "sram_bytes": 32_768.0, "flash_bytes": 65_536.0},
    "elapsed_s": 431.0,
    "validity": VALIDITY.__dict__,
    "finished": True,
    "finalist_failures": {},
}
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;'"


def layer(op, inputs, shape, **more):
    return {"name": f"{op}_{len(inputs)}", "op": op, "inputs": inputs, "shape": shape, "filters": 8, **more}


NETWORK = (
    layer("input", [], [28, 28, 1]),
    layer("conv", [0], [14, 14, 16], kernel=[3, 3], stride=[2, 2], activation="relu"),
    layer("conv", [1], [14, 14, 32], kernel=[1, 1], stride=[1, 1], activation="relu6"),
    layer("depthwise", [2], [14, 14, 32], kernel=[5, 5], stride=[1, 1], activation="relu6"),
    layer("conv", [3], [14, 14, 16], kernel=[1, 1], stride=[1, 1], activation="none"),
    layer("add", [1, 4], [14, 14, 16]),
    layer("global_avg_pool", [5], [16]),
    layer("dense", [6], [10], activation="none"),
)
LAYERS = tuple(
    {
        "index": index,
        "op": op,
        "name": f"layer {index}",
        "output_shape": [1, 14, 14, 16],
        "macs": macs,
        "constants_bytes": macs // 90,
        "output_bytes": 3136,
        "comment": "3x3, stride 2" if index == 0 else "",
    }
    for index, (op, macs) in enumerate([("CONV_2D", 28_224), ("DEPTHWISE_CONV_2D", 156_800), ("FULLY_CONNECTED", 160)])
)


def cost_of(latency_us, scale, source="emulated"):
    return Cost(
        latency_us=latency_us,
        latency_source=source,
        latency_iqr_us=0.4,
        repeats=3,
        instructions=int(latency_us * 120),
        cycles=int(latency_us * 150),
        wait_cycles=int(latency_us * 18),
        sram=Sram(static=96, arena=int(9000 * scale), stack=320),
        sram_source=source,
        flash=Flash(code=5200, constants=int(14_000 * scale), image=31_000),
        flash_source=source,
        energy_uj=latency_us * 0.13,
        energy_source="estimated",
        energy_basis="40 mA at 3.3 V: STM32F405 datasheet, table 20",
        validity=VALIDITY if source == "emulated" else None,
    )


def trials_like_a_search(count):
    """A plausible search: a third over a limit, one in twelve failed, the rest ever nearer to a front."""
    random_ = random.Random(3)
    for number in range(count):
        scale = random_.uniform(0.1, 2.6) * (1 - 0.3 * number / count)
        latency = 9000 * scale * random_.uniform(0.7, 1.3)
        genome = "image:" + "-".join(str(random_.choice([1, 2, 3, 16, 24, 28])) for _ in range(12))
        seconds = {"estimate": 0.002, "convert": 1.1, "compile": 0.2, "build": 0.9, "measure": 0.8}
        base = Trial(number=number, genome=f"{genome}-{number}", state="failed", network=NETWORK, seconds=seconds)
        base = replace(base, estimate=cost_of(latency * 0.8, scale, "estimated"))
        if number % 12 == 7:
            yield replace(
                base, stage="verify", reason="3 of 160 output bytes differ between the board and tflite-micro"
            )
        elif number % 12 == 9:
            reason = "needs 71,680 B of SRAM, at most 32,768 are allowed"
            yield replace(base, state="infeasible", stage="limits", reason=reason, seconds={"estimate": 0.002})
        elif latency > 20_000:
            reason = f"needs {latency:,.0f} us, at most 20,000 are allowed"
            measured = {"cost": cost_of(latency, scale), "layers": LAYERS}
            yield replace(base, state="infeasible", stage="limits", reason=reason, violation=0.2, **measured)
        else:
            accuracy = 0.93 - 0.15 / (1 + latency / 2500) - random_.uniform(0, 0.06)
            yield replace(
                base,
                state="complete",
                violation=0.0,
                cost=cost_of(latency, scale),
                layers=LAYERS,
                accuracy_int8_val=round(accuracy, 4),
                accuracy_float_val=round(accuracy + 0.004, 4),
                epochs=8,
                seconds={**seconds, "reference": 0.1, "train": random_.uniform(4, 16)},
            )


def finalist_of(trial, method="ptq"):
    return Finalist(
        trial=trial.number,
        method=method,
        accuracy_float_val=trial.accuracy_int8_val + 0.013,
        accuracy_ptq_val=trial.accuracy_int8_val + 0.006,
        accuracy_int8_val=trial.accuracy_int8_val + 0.01,
        accuracy_int8_test=trial.accuracy_int8_val + 0.004,
        epochs=25,
        cost=trial.cost,
        seconds={"build": 0.9, "measure": 0.8, "train": 31.0, "score": 2.0},
    )


def write_study(path, trials, facts=FACTS, finalists=0, network=None):
    """A study with these trials; the most accurate of them become finalists, the first one by QAT. `network`: bytes of
    the .tflite that each trained one has.
    """
    trials = list(trials)
    complete = [trial for trial in trials if trial.state == "complete"]
    with Store.create(path, facts) as store:
        for trial in trials:
            has = network is not None and trial.state == "complete"
            store.add_trial(trial, {"model.tflite": network} if has else {})
        best = sorted(complete, key=lambda trial: trial.error)[:finalists] if finalists else []
        for place, trial in enumerate(best):
            artifacts = {} if network is None else {"final.tflite": network}
            store.put_finalist(finalist_of(trial, "ptq" if place else "qat"), artifacts)
    return path

"""Samples as tables in Markdown, with the versions and the machine that belong to them, and their place in the README.
Absent: measuring."""

import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

from beside import contenders
from beside.rows import GB, GROUPS, RATE, TRIP

MARKS = ("<!-- figures: made by benches/figures -->", "<!-- end of figures -->")


def number(value):
    if value >= 10_000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(samples, key, scale):
    values = sorted(scale(sample[key]) for sample in samples if key in sample)
    if not values:
        return ""
    median = number(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({number(values[0])}–{number(values[-1])})"


def lines(row, samples, names):
    """A row's figures, and a second line for the CPU time behind them."""
    of = [samples.get((row.name, name), []) for name in names]
    shown = {
        GB: ("GB/s", lambda value: value / 1e9),
        TRIP: ("µs", lambda value: 1e6 / value),
        RATE: ("a second", lambda value: value),
        "B": ("bytes", lambda value: value),
    }[row.unit]
    yield f"{row.what}, {shown[0]}", [cell(each, "rate", shown[1]) for each in of]
    if row.unit == GB:
        yield f"{row.what}, CPU ms per GB", [cell(each, "cpu", lambda value: value * 1e12) for each in of]
    elif row.unit == RATE:
        yield f"{row.what}, CPU µs each", [cell(each, "cpu", lambda value: value * 1e6) for each in of]
    lost = [cell(each, "lost", lambda value: value * 100) for each in of]
    if any(sample.get("lost") for each in of for sample in each):
        yield f"{row.what}, lost, %", lost


def table(group, rows, samples, names):
    yield f"| {GROUPS[group][0]} | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for row in rows:
        for what, cells in lines(row, samples, names):
            if any(cells):
                yield f"| {what} | " + " | ".join(cells) + " |"


def version(contender, paths):
    argv = contender.argv(paths, contender.version)
    argv[0] = contenders.find(argv[0]) or argv[0]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in run.stdout.splitlines():
        found = re.search(r"\d+\.\d+[\w.+-]*|\bsystemd \d+", line)
        if found:
            return f"{contender.name} {found.group().removeprefix('systemd ')}"
    return contender.name


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    release = re.match(r"[\d.]+", platform.release())
    return f"{model}, {os.cpu_count()} CPUs, {platform.machine()}, Linux {release.group() if release else ''}"


def replaced(readme, text):
    before, mark, rest = readme.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        sys.exit("error: README.md has no place for figures")
    return f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}"

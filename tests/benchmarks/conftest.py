"""Benchmarks are scripts: only the tests of their harness are collected here."""

collect_ignore_glob = ["bench_*.py"]

"""Reads a JSON list of PromQL expressions, parses each with a parser that is not ours, and prints what it names:
for each expression a list of [metric, labels of its matchers] and the labels it groups by."""

import json
import sys

import promql_parser


def walk(node, found):
    for part in ("lhs", "rhs", "expr"):
        if hasattr(node, part):
            walk(getattr(node, part), found)
    for argument in getattr(node, "args", None) or []:
        walk(argument, found)
    if hasattr(node, "vector_selector"):
        walk(node.vector_selector, found)
    if isinstance(node, promql_parser.VectorSelector):
        matchers = node.matchers.matchers
        found["metrics"].append([node.name, [matcher.name for matcher in matchers]])
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        found["by"].extend(node.modifier.labels)


def named(expression):
    found = {"metrics": [], "by": []}
    walk(promql_parser.parse(expression), found)
    return found


json.dump([named(expression) for expression in json.load(sys.stdin)], sys.stdout)

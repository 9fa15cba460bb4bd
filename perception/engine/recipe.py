"""Recipes: mmengine text configs of literals alone, read without running them.

A recipe is a Python file of assignments. The right-hand side may hold literals, ``dict(...)``, lists, tuples, arithmetic on
numbers, names assigned above and ``*name`` inside lists; ``_base_`` lists files relative to the recipe, whose values the recipe overrides key by
key (a dictionary with ``_delete_=True`` replaces instead). mmengine's ``Config.fromfile(path, lazy_import=False)`` reads
the same files to the same values; this reader differs in that nothing is executed, so a stranger's recipe is safe to open.
"""

from __future__ import annotations

import ast
import copy
import operator
from pathlib import Path
from typing import Any

from perception.errors import RecipeError, nearest

_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def load_recipe(path: str | Path, options: list[str] | None = None) -> dict[str, Any]:
    """Read a recipe with its bases and apply ``key.sub=value`` options.

    Raises:
        RecipeError: a file is missing, holds anything but literals, or an option does not fit.
    """
    recipe = _read(Path(path), ())
    for option in options or []:
        _apply_option(recipe, option)
    return recipe


def jsonable(value: Any) -> Any:
    """Return `value` as dictionaries, lists and literals alone (tuples become lists). Raises `RecipeError` otherwise."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RecipeError(f"recipes hold literals only; found {value!r} of type {type(value).__name__}")


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in above:
        raise RecipeError(f"recipe {path} is its own base")
    if path.is_dir():
        held = sorted(item.name for item in path.glob("*.py"))
        raise RecipeError(f"{path} is a folder; name one of its recipes: {', '.join(held[:10]) or 'it has none'}")
    if not path.is_file():
        raise RecipeError(f"recipe {path} does not exist{_similar_file(path)}")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise RecipeError(f"recipe {path} is not readable Python: {error}") from error
    values: dict[str, Any] = {}
    for position, statement in enumerate(tree.body):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and position == 0:
            continue  # the docstring
        if not (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            raise RecipeError(f"recipe {path}, line {statement.lineno}: only `name = literal` is allowed in a recipe")
        values[statement.targets[0].id] = _literal(statement.value, values, path)
    bases = values.pop("_base_", [])
    values = {
        name: value for name, value in values.items() if not name.startswith("_")
    }  # private: for this file's own use
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        for key, value in _read(path.parent / base, (*above, path)).items():
            if key in merged and not (isinstance(value, dict) and isinstance(merged[key], dict)):
                raise RecipeError(f"recipe {path}: two of its bases define {key!r}; keep one")
            merged = _merge(merged, {key: value})
    return _merge(merged, values)


def _literal(node: ast.expr, names: dict[str, Any], path: Path) -> Any:
    """Evaluate the allowed expressions; anything else is an error that names file and line."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        items: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):  # [*val_evaluator, dict(...)]: what is above, and more
                above = _literal(item.value, names, path)
                if not isinstance(above, list | tuple):
                    raise RecipeError(f"recipe {path}, line {item.lineno}: `*` is for lists, found {above!r}")
                items.extend(above)
            else:
                items.append(_literal(item, names, path))
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _literal(k, names, path): _literal(v, names, path) for k, v in zip(node.keys, node.values, strict=True) if k
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        pairs = {}
        for keyword in node.keywords:
            value = _literal(keyword.value, names, path)
            pairs.update(value if keyword.arg is None else {keyword.arg: value})
        return pairs
    if isinstance(node, ast.Name) and node.id in names:
        return copy.deepcopy(names[node.id])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _number(node.operand, names, path)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _number(node.left, names, path), _number(node.right, names, path)
        try:
            return _ARITHMETIC[type(node.op)](left, right)
        except ArithmeticError as error:
            raise RecipeError(f"recipe {path}, line {node.lineno}: {error}") from error
    what = f"`{ast.unparse(node)[:80]}`"
    if isinstance(node, ast.Name):
        what = f"the name {node.id!r}, which nothing above it in this file assigns (what a base assigns has to be written out)"
    raise RecipeError(f"recipe {path}, line {node.lineno}: recipes hold literals only, found {what}")


def _number(node: ast.expr, names: dict[str, Any], path: Path) -> float | int:
    value = _literal(node, names, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"recipe {path}, line {node.lineno}: arithmetic is for numbers, found {value!r}")
    return value


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` overridden by `changes`, dictionaries key by key unless the change says ``_delete_=True``."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict):
            value = dict(value)
            replace = value.pop("_delete_", False)
            old = {} if replace or not isinstance(merged.get(key), dict) else merged[key]
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _apply_option(recipe: dict[str, Any], option: str) -> None:
    """Apply one ``a.b.0.c=value`` to `recipe` in place. Every key but the last must exist."""
    path, equals, text = option.partition("=")
    if not equals or not path:
        raise RecipeError(f"option {option!r} is not of the form key.sub=value")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    target: Any = recipe
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        if isinstance(target, dict) and (depth or key in target) and target.get(key) in (None, False, True):
            target[key] = {}  # a section that the recipe leaves out, or a switch that is given settings
        target = _step(target, key, path)
    if isinstance(target, list):
        target[_position(target, last, path)] = value
    elif isinstance(target, dict):
        target[last] = _merge({}, {last: value})[last]
    else:
        raise RecipeError(f"option {option!r}: {'.'.join(parents)!r} is {target!r}, which has no keys")


def _step(target: Any, key: str, path: str) -> Any:
    if isinstance(target, list | tuple):
        return target[_position(target, key, path)]
    if not isinstance(target, dict) or key not in target:
        known = target if isinstance(target, dict) else []
        raise RecipeError(f"option {path!r}: the recipe has no {key!r}.{nearest(key, known)}")
    return target[key]


def _position(items: list | tuple, key: str, path: str) -> int:
    if not key.isdigit() or int(key) >= len(items):
        raise RecipeError(f"option {path!r}: {key!r} should be a position below {len(items)} in a list")
    return int(key)


def _similar_file(path: Path) -> str:
    folder = path.parent
    names = [item.name for item in folder.glob("*.py")] if folder.is_dir() else []
    return "." + nearest(path.name, names) if names else ""

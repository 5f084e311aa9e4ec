"""What the names in a program stand for, as far as its text tells.

A name stands for what is assigned to it in its scope; `self.x` for what the methods of the class assign to it; a parameter for
what its annotation says. Where two assignments disagree the name stands for nothing: a finding that is missing is better
than one that is wrong.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from .scopes import Annotated, Binding, Bound, Itself, Scope, Text

KINDS = {
    "LockFile": "link",
    "FileLock": "link",
    "LinkFileLock": "link",
    "LinkLockFile": "link",
    "SymlinkLockFile": "symlink",
    "MkdirFileLock": "mkdir",
    "MkdirLockFile": "mkdir",
    "SQLiteFileLock": "sqlite",
    "SQLiteLockFile": "sqlite",
    "PIDLockFile": "pid",
    "LockBase": "base",
}
"""The classes and factories of lockfile, and the form of the lock that each makes."""

EXCEPTIONS = {
    "Error",
    "LockError",
    "LockTimeout",
    "AlreadyLocked",
    "LockFailed",
    "UnlockError",
    "NotLocked",
    "NotMyLock",
}

_MODULES = {"", ".linklockfile", ".symlinklockfile", ".mkdirlockfile", ".pidlockfile", ".sqlitelockfile"}
_DEPTH = 40
"""How far a name is followed. Names can stand for each other in a circle."""


def of_lockfile(dotted: str | None) -> str | None:
    """The bare name, if `dotted` is the full name of something in lockfile, or in pathlock.lockfile."""
    if dotted == "daemon.pidfile.TimeoutPIDLockFile":
        return "PIDLockFile"
    module, _, name = (dotted or "").removeprefix("pathlock.").rpartition(".")
    return name if module.startswith("lockfile") and module.removeprefix("lockfile") in _MODULES else None


@dataclass(frozen=True)
class Named:
    """Something imported or built in, by its full name: `os.path.exists`, `threading.current_thread().name`."""

    dotted: str


@dataclass(frozen=True, eq=False)
class Lock:
    """A lock object."""

    kind: str
    source: ast.AST
    """Tells one object from another: the call that makes it, or the annotation or class that says there is one."""
    call: ast.Call | None
    """The call that makes it, if that is the only one."""
    own_class: Scope | None
    """Its class, if that is one of the program's own."""

    def argument(self, name: str, place: int) -> ast.expr | None:
        """An argument of the constructor. That of a class with an `__init__` of its own is not known."""
        if self.call is None:
            return None
        for keyword in self.call.keywords:
            if keyword.arg == name:
                return keyword.value
        own_init = self.own_class is not None and "__init__" in self.own_class.bindings
        first = self.call.args[: place + 1]
        if own_init or len(first) <= place or any(isinstance(argument, ast.Starred) for argument in first):
            return None
        return first[place]

    @property
    def path(self) -> ast.expr | None:
        return self.argument("path", 0)


@dataclass(frozen=True, eq=False)
class Made:
    """What a call of something imported gives: an object of a class, or a result."""

    dotted: str
    call: ast.Call


@dataclass(frozen=True, eq=False)
class Instance:
    """An object of a class of the program that makes no locks."""

    of: Scope


Value = Named | Lock | Made | Instance | Scope


class Program(Text):
    """One module, and what its expressions stand for."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__(tree)
        self._known: dict[ast.AST, Value | None] = {}

    def value(self, expression: ast.AST) -> Value | None:
        return self._value(expression, self.scope(expression), 0)

    def lock(self, expression: ast.AST) -> Lock | None:
        value = self.value(expression)
        return value if isinstance(value, Lock) else None

    def dotted(self, expression: ast.AST) -> str | None:
        """The full name of what is imported or built in."""
        value = self.value(expression)
        return value.dotted if isinstance(value, Named) else None

    def called(self, node: ast.AST) -> str | None:
        """The full name of what `node` calls."""
        return self.dotted(node.func) if isinstance(node, ast.Call) else None

    def member(self, node: ast.AST) -> tuple[Lock, str] | None:
        """The lock and the name, if `node` is an attribute of a lock."""
        lock = self.lock(node.value) if isinstance(node, ast.Attribute) else None
        return (lock, node.attr) if lock is not None and isinstance(node, ast.Attribute) else None

    def method(self, node: ast.AST) -> tuple[Lock, str] | None:
        """The lock and the name of the method, if `node` calls one of a lock: also as `PIDLockFile.acquire(self)`."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        if node.args and of_lockfile(self.dotted(node.func.value)) in KINDS:
            lock = self.lock(node.args[0])
            return None if lock is None else (lock, node.func.attr)
        return self.member(node.func)

    def written(self, expression: ast.expr) -> ast.expr:
        """The expression itself; for a name that is assigned once, what is assigned to it."""
        for _ in range(_DEPTH):
            found = self.scope(expression).finds(expression.id) if isinstance(expression, ast.Name) else None
            match found.bindings[expression.id] if found and isinstance(expression, ast.Name) else []:
                case [(ast.expr() as value, _)]:
                    expression = value
                case _:
                    break
        return expression

    def _value(self, expression: ast.AST, scope: Scope, depth: int) -> Value | None:
        if expression not in self._known:
            self._known[expression] = None  # What stands for itself stands for nothing.
            if depth < _DEPTH:
                self._known[expression] = self._worked_out(expression, scope, depth)
        return self._known[expression]

    def _worked_out(self, expression: ast.AST, scope: Scope, depth: int) -> Value | None:
        match expression:
            case ast.Name(id=name):
                found = scope.finds(name)
                return self._unbound(name) if found is None else self._agreed(found.bindings[name], depth)
            case ast.NamedExpr():
                return self._value(expression.value, scope, depth + 1)
            case ast.Attribute(attr=name):
                return self._member(self._value(expression.value, scope, depth + 1), name, depth)
            case ast.Call(func=ast.Name(id="super")):
                outer: Scope | None = scope
                while outer is not None and not outer.is_class:
                    outer = outer.parent
                return None if outer is None else self._object(outer, outer.node, None, depth)
            case ast.Call():
                function = self._value(expression.func, scope, depth + 1)
                if isinstance(function, Named):
                    kind = KINDS.get(of_lockfile(function.dotted) or "")
                    return Lock(kind, expression, expression, None) if kind else Made(function.dotted, expression)
                if isinstance(function, Scope) and function.is_class:
                    return self._object(function, expression, expression, depth)
        return None

    def _unbound(self, name: str) -> Named:
        """What is bound nowhere is built in, or comes of `from lockfile import *`."""
        for module, _ in self.module.bindings.get("*", []):
            if isinstance(module, str) and of_lockfile(module) and name in KINDS.keys() | EXCEPTIONS:
                return Named(f"lockfile.{name}")
        return Named(name)

    def _member(self, of: Value | None, name: str, depth: int) -> Value | None:
        match of:
            case Named():
                return Named(f"{of.dotted}.{name}")
            case Made():
                return Named(f"{of.dotted}().{name}")
            case Scope():
                return self._attribute(of, name, depth)
            case Instance(of=owner) | Lock(own_class=Scope() as owner):
                return self._attribute(owner, name, depth)
        return None

    def _attribute(self, owner: Scope, name: str, depth: int) -> Value | None:
        bound = owner.attributes.get(name, []) + owner.bindings.get(name, [])
        if bound:
            return self._agreed(bound, depth)
        for base in self._bases(owner, depth):
            if isinstance(base, Scope) and depth < _DEPTH:
                return self._attribute(base, name, depth + 1)
        return None

    def _bases(self, owner: Scope, depth: int) -> list[Value | None]:
        bases = owner.node.bases if isinstance(owner.node, ast.ClassDef) else []
        return [self._value(base, owner.parent or owner, depth + 1) for base in bases]

    def bases(self, owner: Scope) -> list[str]:
        """The full names of the imported classes that a class derives from."""
        return [base.dotted for base in self._bases(owner, 0) if isinstance(base, Named)]

    def _object(self, owner: Scope, source: ast.AST, call: ast.Call | None, depth: int) -> Value:
        kind = self._kind(owner, depth)
        return Instance(owner) if kind is None else Lock(kind, source, call, owner)

    def _kind(self, owner: Scope, depth: int) -> str | None:
        """The form of the locks that a class of the program makes, if it derives from one of lockfile's."""
        for base in self._bases(owner, depth):
            kind = KINDS.get(of_lockfile(base.dotted) or "") if isinstance(base, Named) else None
            if isinstance(base, Scope) and depth < _DEPTH:
                kind = self._kind(base, depth + 1)
            if kind is not None:
                return kind
        return None

    def _agreed(self, bound: list[Bound], depth: int) -> Value | None:
        """What all bindings of a name say it is. None says nothing; what is lockfile's in one branch is taken for that."""
        said = [(binding, scope) for binding, scope in bound if not _is_none(binding)]
        values = [self._bound(binding, scope, depth + 1) for binding, scope in said]
        for value in values:
            if isinstance(value, Named) and (of_lockfile(value.dotted) or len(values) == 1):
                return value
        if len(values) == 1:
            return values[0]
        locks = [value for value in values if isinstance(value, Lock)]
        if locks and len(locks) == len(values) and len({lock.kind for lock in locks}) == 1:
            return Lock(locks[0].kind, locks[0].source, None, locks[0].own_class)
        return None

    def _bound(self, binding: Binding, scope: Scope, depth: int) -> Value | None:
        match binding:
            case str():
                return Named(binding)
            case Scope():
                return binding
            case Itself(owner=owner):
                return owner if binding.of_class else self._object(owner, owner.node, None, depth)
            case Annotated():
                return self._of_type(binding.annotation, binding, scope, depth)
            case ast.expr():
                return self._value(binding, scope, depth)
        return None

    def _of_type(self, annotation: ast.expr, told: Annotated, scope: Scope, depth: int) -> Value | None:
        """An object of the type that is written, also within `Optional[…]`, `… | None` and quotes."""
        match annotation:
            case ast.Constant(value=str() as quoted):
                try:
                    return self._of_type(ast.parse(quoted, mode="eval").body, told, scope, depth + 1)
                except (SyntaxError, ValueError):
                    return None
            case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=optional):
                return self._of_type(optional, told, scope, depth + 1)
            case ast.BinOp(left=optional, op=ast.BitOr(), right=ast.Constant(value=None)):
                return self._of_type(optional, told, scope, depth + 1)
            case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=optional):
                return self._of_type(optional, told, scope, depth + 1)
        value = self._value(annotation, scope, depth + 1)
        if isinstance(value, Named):
            kind = KINDS.get(of_lockfile(value.dotted) or "")
            return Lock(kind, told.annotation, None, None) if kind else None
        return (
            self._object(value, told.annotation, None, depth) if isinstance(value, Scope) and value.is_class else None
        )


def _is_none(binding: Binding) -> bool:
    return isinstance(binding, ast.Constant) and binding.value is None

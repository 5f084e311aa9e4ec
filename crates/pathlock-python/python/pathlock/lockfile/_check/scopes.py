"""The scopes of a program, and what is bound in each.

Nothing is imported and nothing is run: this is the text, its nodes in their order, and for every name the expressions that
are assigned to it. What these stand for is worked out in `names`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Block = ast.Module | ast.ClassDef | Function | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, eq=False)
class Annotated:
    """A name of which only the type is told."""

    annotation: ast.expr


@dataclass(frozen=True, eq=False)
class Itself:
    """The first parameter of a method: the object, or with `of_class` its class."""

    owner: Scope
    of_class: bool


@dataclass(eq=False)
class Scope:
    """A module, class, function or comprehension, and what is bound in it."""

    node: Block
    parent: Scope | None
    bindings: dict[str, list[Bound]] = field(default_factory=dict)
    attributes: dict[str, list[Bound]] = field(default_factory=dict)
    """Of a class: what its methods assign to `self.NAME`."""
    elsewhere: dict[str, Scope] = field(default_factory=dict)
    """Of a function: where the names are bound that it declares global or nonlocal."""

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_function(self) -> bool:
        return isinstance(self.node, Function)

    def bind(self, name: str, binding: Binding, seen_from: Scope | None = None) -> None:
        scope = self.elsewhere.get(name, self)
        scope.bindings.setdefault(name, []).append((binding, seen_from or self))

    def finds(self, name: str) -> Scope | None:
        """The scope in which `name` is bound, seen from here."""
        scope: Scope | None = self.elsewhere.get(name, self)
        while scope is not None:
            if name in scope.bindings and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None


Binding = str | ast.expr | Scope | Annotated | Itself | None
"""What a name is bound to: the full name of what is imported, an expression, …; None for what can't be told."""
Bound = tuple[Binding, Scope]
"""A binding, and the scope from which it is to be read."""


class Text:
    """One module: its nodes in the order of the text, their parents, their scopes."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree, None)
        self.nodes: list[ast.AST] = []
        self._parents: dict[ast.AST, ast.AST] = {}
        self._scopes: dict[ast.AST, Scope] = {}
        self._opened: dict[ast.AST, Scope] = {tree: self.module}
        # A stack of its own: a long sum is nested deeper than Python lets functions be.
        stack: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while stack:
            node, scope = stack.pop()
            self.nodes.append(node)
            self._scopes[node] = scope
            inner = scope
            if isinstance(node, Block) and node is not tree:
                inner = self._opened[node] = Scope(node, scope)
            self._bind(node, scope, inner)
            children = list(ast.iter_child_nodes(node))
            self._parents.update((child, node) for child in children)
            stack.extend((child, _scope_of(child, node, scope, inner)) for child in reversed(children))

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which `node` is run."""
        return self._scopes[node]

    def opened(self, node: ast.AST) -> Scope:
        """The scope that `node`, a function or class, opens."""
        return self._opened[node]

    def function(self, node: ast.AST) -> Scope:
        """The function that runs `node`, or the module."""
        scope = self._scopes[node]
        while scope.parent is not None and not scope.is_function:
            scope = scope.parent
        return scope

    def within(self, node: ast.AST, *, functions: bool = False) -> Iterator[ast.AST]:
        """`node` and what is in it, in the order of the text. What is in functions is not run with it: only if asked."""
        stack = [node]
        while stack:
            top = stack.pop()
            yield top
            if functions or not isinstance(top, Function):
                stack.extend(reversed(list(ast.iter_child_nodes(top))))

    def _bind(self, node: ast.AST, scope: Scope, inner: Scope) -> None:
        match node:
            case ast.Import():
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    scope.bind(alias.asname or root, alias.name if alias.asname else root)
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    scope.bind(alias.asname or alias.name, f"{module}.{alias.name}")
            case ast.Assign():
                for target in node.targets:
                    self._assign(target, node.value, scope)
            case ast.AnnAssign(value=None | ast.Constant(value=None)):
                self._assign(node.target, Annotated(node.annotation), scope)
            case ast.AnnAssign() | ast.NamedExpr():
                self._assign(node.target, node.value, scope)
            case ast.AugAssign() | ast.For() | ast.AsyncFor():
                self._assign(node.target, None, scope)
            case ast.comprehension():
                self._assign(node.target, None, scope)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._assign(target, node.context_expr, scope)
            case (
                ast.ExceptHandler(name=str() as name)
                | ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
            ):
                scope.bind(name, None)
            case ast.Global() | ast.Nonlocal():
                for name in node.names:
                    outer = scope.parent.finds(name) if isinstance(node, ast.Nonlocal) and scope.parent else None
                    scope.elsewhere[name] = outer or self.module
            case ast.ClassDef():
                scope.bind(node.name, inner)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope.bind(node.name, inner)
                self._bind_parameters(node.args, scope, inner)
                self._bind_itself(node, scope, inner)
            case ast.Lambda():
                self._bind_parameters(node.args, scope, inner)

    def _bind_parameters(self, arguments: ast.arguments, scope: Scope, inner: Scope) -> None:
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
            known = None if argument.annotation is None else Annotated(argument.annotation)
            inner.bind(argument.arg, known, scope)
        for several in (arguments.vararg, arguments.kwarg):
            if several is not None:
                inner.bind(several.arg, None)

    def _bind_itself(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, inner: Scope) -> None:
        parameters = node.args.posonlyargs + node.args.args
        decorators = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
        if scope.is_class and parameters and "staticmethod" not in decorators:
            inner.bindings[parameters[0].arg] = [(Itself(scope, "classmethod" in decorators), inner)]

    def _assign(self, target: ast.expr, value: Binding, scope: Scope) -> None:
        match target:
            case ast.Name():
                scope.bind(target.id, value)
            case ast.Attribute(value=ast.Name(id=name)):
                found = scope.finds(name)
                match found.bindings[name] if found else []:
                    case [(Itself(owner=owner), _)]:
                        owner.attributes.setdefault(target.attr, []).append((value, scope))
            case ast.Tuple() | ast.List():
                values: list[Binding] = [None] * len(target.elts)
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(values):
                    values = list(value.elts)
                for element, part in zip(target.elts, values, strict=True):
                    self._assign(element, part, scope)
            case ast.Starred():
                self._assign(target.value, None, scope)


def _scope_of(part: ast.AST, node: ast.AST, scope: Scope, inner: Scope) -> Scope:
    """The scope in which a part of `node` is run: not all of a definition is run when what it defines is called."""
    match node:
        case ast.ClassDef():
            return inner if part in node.body else scope
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return inner if part in node.body or part is node.args else scope
        case ast.arguments() | ast.arg() if isinstance(part, ast.expr):
            return scope.parent or scope
    return inner

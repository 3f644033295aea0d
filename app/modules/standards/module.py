"""The slice standards: what it brings to the product."""

from app.kit.module import Module
from app.modules.standards.api import StandardsMutation, StandardsQuery
from app.modules.standards.seeds import run

MODULE = Module(name="standards", title="标准与区划", query=StandardsQuery, mutation=StandardsMutation, seed=run)

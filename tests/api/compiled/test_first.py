import json

from app.api.compiled.plan import Documents, Operation
from app.api.limits import load_limits

async def test_read(toy_world, toy_api):
    docs = Documents(toy_api.schema, toy_api.bindings, load_limits())
    text = '''query($n:Int,$o:FirmOrder){ firms(first:$n, order:$o, filter:{state:{eq:OPEN}}) { totalCount totalCountIsExact pageInfo{hasNextPage hasPreviousPage startCursor endCursor} edges{cursor node{ id name state founded opened staff big score ratio active tags extra bigStaff nameLength parent{id name} licence{number} places(first:2){nodes{id title area notes{code body} firm{id}} totalCount}}}} x:firmCounts(by:STATE){key count} }'''
    op = docs.get(text, None)
    assert isinstance(op, Operation), op.errors
    values = op.coercer.coerce({"n": 3, "o": "NAME_DESC"})
    plan = op.plan(values)
    print(op.reason, plan and plan.sql)
    out = await toy_world.db.reader("county").fetchval(plan.sql, *plan.arguments({"app.key": "10"}, values))
    print(json.dumps(json.loads(out), ensure_ascii=False, indent=1)[:3000])

"""Pages of the embedded issuer: rendered here, without script, and marked as development."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from jinja2 import DictLoader, Environment
from starlette.responses import HTMLResponse

from infra.identity.port import Account, Realm

REALM_NAMES: Mapping[Realm, str] = {"gov": "政务 Government", "ent": "企业与公众 Enterprises and the public"}
TIER_NAMES: Mapping[str, str] = {
    "national": "国家 national",
    "province": "省级 province",
    "city": "市级 city",
    "county": "县级 county",
    "township": "乡镇街道 township",
    "park": "化工园区 park",
    "rescue_team": "救援队伍 rescue team",
    "agency": "机构 agency",
    "enterprise": "企业 enterprise",
    "citizen": "公众 citizen",
}

_FRAME = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
.mark{background:#8a1f11;color:#fff;padding:.4rem .8rem;font-weight:600}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #c8d0d9}
button{font:inherit;padding:.2rem .8rem}input{font:inherit;padding:.2rem}
</style></head><body>
<p class="mark">开发环境 · development：仅限本机，无口令 · loopback only, no passwords</p>
<h1>{{ title }}</h1>
{% block body %}{% endblock %}
</body></html>"""

_PICKER = """{% extends "frame" %}{% macro hidden() %}{% for name, value in params.items() %}
<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}{% endmacro %}{% block body %}
<p>选择演示账号登录 <b>{{ client }}</b>。 Pick a demo account to log in to <b>{{ client }}</b>.</p>
<form method="get" role="search">{{ hidden() }}
<label>账号或姓名开头 · user name or name begins with <input name="q" value="{{ words }}" maxlength="64"></label>
<button>查找 Find</button></form>
{% if unknown %}<p role="alert">没有这个账号，或已停用。 There is no such account, or it is closed.</p>{% endif %}
<form method="post">{{ hidden() }}
<table><thead><tr><th>账号 account</th><th>名称 name</th><th>层级 tier</th><th>角色 roles</th><th></th></tr></thead>
<tbody>{% for account in accounts %}<tr><td>{{ account.username }}</td><td>{{ account.display_name }}</td>
<td>{{ tiers[account.attributes.tenant_tier] }}</td><td>{{ account.roles | sort | join(", ") }}</td>
<td><button name="account" value="{{ account.username }}" aria-label="登录 Log in: {{ account.username }}"
>登录 Log in</button></td></tr>
{% else %}<tr><td colspan="5">没有符合的账号。 No account matches.</td></tr>{% endfor %}
</tbody></table></form>
{% if accounts | length >= limit %}<p>只显示前 {{ limit }} 个，请输入更多字。
Only the first {{ limit }} are shown: type more.</p>{% endif %}
{% endblock %}"""

_NOTICE = """{% extends "frame" %}{% block body %}<p>{{ chinese }}</p><p>{{ english }}</p>{% endblock %}"""


_PAGES = Environment(autoescape=True, loader=DictLoader({"frame": _FRAME, "picker": _PICKER, "notice": _NOTICE}))


def picker(
    realm: Realm,
    client: str,
    params: Mapping[str, str],
    accounts: Sequence[Account],
    *,
    words: str,
    unknown: bool,
    limit: int,
) -> HTMLResponse:
    """Return the page that offers the demo accounts.

    Args:
        realm: whose accounts.
        client: id of the client that asks for the login.
        params: parameters of the request, carried through the form.
        accounts: accounts to show.
        words: what was searched for.
        unknown: an account that does not exist was picked.
        limit: how many are shown at most.
    """
    body = _PAGES.get_template("picker").render(
        title=f"安澜 Anlan · {REALM_NAMES[realm]}",
        client=client,
        params=params,
        accounts=accounts,
        words=words,
        unknown=unknown,
        limit=limit,
        tiers=TIER_NAMES,
    )
    target = urlsplit(params["redirect_uri"])
    return HTMLResponse(body, 404 if unknown else 200, _headers(f"'self' {target.scheme}://{target.netloc}"))


def notice(title: str, chinese: str, english: str, status: int) -> HTMLResponse:
    """Return a page with one message in both languages."""
    body = _PAGES.get_template("notice").render(title=title, chinese=chinese, english=english)
    return HTMLResponse(body, status, _headers("'none'"))


def _headers(form_action: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {form_action}",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }

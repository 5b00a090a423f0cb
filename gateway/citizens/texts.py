"""The words of signing in and of the section *who fetched it*, Chinese and English. One key, both languages: a test
compares the sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CITIZEN_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "patient": "我的检查检验结果",
        "accesses": "谁获取过我的证照",
        "accesses_lead": "登录后，可查看哪些单位依授权获取过您的证照（免于提交），或在系统中使用过您的数据。",
        "accesses_limits": "出示证照后由本网关或窗口进行的核验不记录持证人，因此无法在此显示。"
        "依法暂缓告知的调查用途不显示；保存期满已删除的记录不再显示。",
        "sign_in": "登录",
        "sign_in_note": "将转到身份认证服务登录。本网关只在内存中保存登录状态，十五分钟后失效。",
        "sign_out": "退出登录",
        "signed_in": "已登录，{time} 前有效",
        "signed_out": "已退出",
        "asking": "正在向各单位查询…",
        "none": "没有记录",
        "older": "显示更早的记录",
        "fetched": "获取了证照",
        "used": "使用了数据",
        "by": "由谁",
        "from": "来自",
        "what": "内容",
        "fields": "项目",
        "matter": "事项",
        "purpose": "用途代码",
        "time": "时间",
        "exchange": "共享编号",
        "receipt": "双方签名回执（摘要）",
        "evidence": "存证",
        "incomplete": "缺少一方签名的回执",
        "proof": "在 {name} 的日志中，第 {index} 条：查看证明",
        "away": "以下单位暂时没有答复，记录可能不全：",
        "off": "以下单位未开通公民查询：",
        "failed": "无法查询",
        "retry": "重试",
        "problem": "登录未完成",
        "again": "重新登录",
        "back": "返回",
        "code": "代码",
    },
    "en": {
        "patient": "My results",
        "accesses": "Who fetched my licence",
        "accesses_lead": "After you sign in, you see which bodies fetched a licence of yours under a grant, "
        "instead of asking you for it, or used data about you in their systems.",
        "accesses_limits": "A check of a licence that you showed, by this gateway or at a counter, is recorded "
        "without its holder, so it cannot be told here. Purposes of an investigation that may not be told yet are left "
        "out, and so is what was deleted when its time was over.",
        "sign_in": "Sign in",
        "sign_in_note": "You go to the identity service to sign in. This gateway keeps that in memory only, for "
        "fifteen minutes.",
        "sign_out": "Sign out",
        "signed_in": "Signed in until {time}",
        "signed_out": "Signed out",
        "asking": "Asking the departments…",
        "none": "Nothing on record",
        "older": "Show older ones",
        "fetched": "fetched a licence",
        "used": "used data",
        "by": "By",
        "from": "From",
        "what": "What",
        "fields": "Fields",
        "matter": "Matter",
        "purpose": "Purpose code",
        "time": "Time",
        "exchange": "Exchange",
        "receipt": "Receipt of both sides (digest)",
        "evidence": "Evidence",
        "incomplete": "a receipt that lacks one side's signature",
        "proof": "In the log of {name}, entry {index}: see the proof",
        "away": "These bodies did not answer now, so something may be missing:",
        "off": "These bodies do not answer citizens yet:",
        "failed": "This could not be asked",
        "retry": "Try again",
        "problem": "The sign-in was not completed",
        "again": "Sign in again",
        "back": "Back",
        "code": "code",
    },
}

#: What happened and what to do, by the error's code.
REASONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "zh": {
        "citizen.provider-away": ("身份认证服务没有响应。", "请几分钟后再试。"),
        "citizen.provider-answer": ("身份认证服务暂不可用。", "请几分钟后再试；若仍如此，请告知本网关的运营单位。"),
        "citizen.code-refused": ("身份认证服务没有接受这次登录。", "请重新登录。"),
        "citizen.state": ("这次登录不是在本浏览器中开始的，或开始得太久。", "请从页面重新开始，并允许其 Cookie。"),
        "citizen.refused": ("登录被取消或被拒绝。", "如仍需要，请重新登录。"),
        "citizen.signed-out": ("尚未登录，或登录已失效。", "请登录。"),
        "citizen.busy": ("此刻查询的人较多。", "请稍后再试。"),
        "citizen.token-expired": ("登录已失效。", "请重新登录。"),
        "citizen.token-claim": ("身份认证服务没有提供公民身份号码。", "请使用实名账户登录。"),
        "licence.citizen": ("身份认证服务没有提供有效的公民身份号码。", "请使用实名账户登录。"),
        "gateway.too-many-requests": ("请求过于频繁。", "请稍后再试。"),
        "gateway.starting": ("本网关正在启动。", "请稍后再试。"),
    },
    "en": {
        "citizen.provider-away": ("The identity service does not answer.", "Try again in some minutes."),
        "citizen.provider-answer": (
            "The identity service cannot be used now.",
            "Try again in some minutes; if it stays so, tell who runs this gateway.",
        ),
        "citizen.code-refused": ("The identity service did not accept this sign-in.", "Sign in again."),
        "citizen.state": (
            "This sign-in was not begun in this browser, or too long ago.",
            "Begin again from the page, and allow its cookie.",
        ),
        "citizen.refused": ("The sign-in was cancelled or refused.", "Sign in again, if you want to."),
        "citizen.signed-out": ("Nobody is signed in, or no longer.", "Sign in."),
        "citizen.busy": ("Many ask at this moment.", "Try again in a moment."),
        "citizen.token-expired": ("The sign-in has ended.", "Sign in again."),
        "citizen.token-claim": (
            "The identity service does not tell a citizen's number.",
            "Sign in with an account under your own name.",
        ),
        "licence.citizen": (
            "The identity service does not tell a valid citizen's number.",
            "Sign in with an account under your own name.",
        ),
        "gateway.too-many-requests": ("Too many requests.", "Try again in a moment."),
        "gateway.starting": ("This gateway is starting.", "Try again in a moment."),
    },
}

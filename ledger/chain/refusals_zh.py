"""The words of ``ledger.chain.refusals`` in Chinese: the same errors, the same fields. Complete by a test.

A node answers in English, wherever its caller is; the command line of a Chinese reader turns the answer with
:func:`in_chinese`, which finds the fields again in the English words."""

from __future__ import annotations

import re
from functools import cache

from ledger.chain.refusals import REFUSALS
from ledger.chain.reverts import error_code

#: Custom error -> (message, next step).
CHINESE: dict[str, tuple[str, str]] = {
    "Consortium__NotActiveMember": ("{account} 不是有效成员的账户", "请使用该成员的有效账户密钥；暂停须经表决恢复"),
    "Consortium__NotCurrentContract": ("{caller} 不是现行的 {name} 合约，现行的是 {current}", "请重新读取合约地址"),
    "Consortium__UnknownMember": ("没有代码为 {id} 的成员", "查看成员：civicledger member list"),
    "Consortium__WrongStatus": ("成员 {id} 的状态为 {status}（1 有效，2 暂停，3 已移除）", "此变更只适用于其他状态"),
    "Consortium__MemberExists": ("{id} 已是成员", "请恢复该成员，而不是再次接纳"),
    "Consortium__MalformedId": ("{id} 不是成员代码", "请使用 18 位统一社会信用代码"),
    "Consortium__MalformedHandle": ("{handle} 不是代号", "使用 1 至 32 个 a-z、0-9 或 - 字符"),
    "Consortium__HandleTaken": ("{region} 的代号 {handle} 属于 {by}", "请另选代号：代号从不易主"),
    "Consortium__MalformedRegion": ("{region} 不是行政区划代码", "使用 GB/T 2260 六位代码"),
    "Consortium__MalformedRoles": ("未知角色 {roles}", "位：1 主管，2 审计，4 质量评价，8 卫生健康，16 医疗机构"),
    "Consortium__OriginChanged": ("{id} 曾以其他区划或代号为成员", "请以原区划和代号接纳"),
    "Consortium__AccountInUse": ("账户 {account} 属于 {by}", "请生成新的账户密钥"),
    "Consortium__MalformedAccount": ("{account} 不能作为账户", "请给出账户密钥的地址"),
    "Consortium__NoPossession": (
        "{account} 的持有者未签名（签名者为 {signer}）",
        "请用新账户密钥对 accountKeyDigest 签名",
    ),
    "Consortium__MalformedKey": ("{material} 不是用途 {role} 的密钥", "用途为 1 至 9，密钥材料不得为零"),
    "Consortium__KeyKnown": (
        "密钥 {material} 已登记过，属于 {by}，用途 {role}",
        "请生成新密钥：一个密钥只属于一个成员的一种用途",
    ),
    "Consortium__UnknownKey": ("密钥 {material} 从未登记", "查看密钥：civicledger key list"),
    "Consortium__NotOwnKey": ("密钥 {material} 属于 {owner}", "成员只能变更自己的密钥"),
    "Consortium__KeyEnded": ("密钥 {material} 已终止（状态 {status}：2 退役，3 泄露）", "请更换为新密钥"),
    "Consortium__TooManyKeys": ("{id} 的密钥已达上限 {limit}", "请先终止不再使用的密钥"),
    "Consortium__WrongKeyTimes": (
        "密钥的有效期不能为 {validFrom} 至 {validTo}",
        "从现在或以后开始，并在其后结束（Unix 秒）",
    ),
    "Consortium__MustReplace": ("用途 {role} 已有有效密钥 {active}", "请指明被替换的就是该密钥"),
    "Consortium__WrongKeyRole": ("密钥 {material} 的用途是 {actual}，不是 {expected}", "请指明同一用途的密钥"),
    "Consortium__KeyInService": ("用途 {role} 的密钥 {material} 正在使用", "请以新密钥替换，而不是终止"),
    "Consortium__WrongEnd": ("密钥终止时间不能为 {since}，最晚为 {latest}", "终止时间只能提前（Unix 秒）"),
    "Consortium__NoConsensusKey": ("{id} 没有共识密钥", "请先登记共识密钥"),
    "Consortium__ValidatorUnchanged": ("{id} 的验证者状态已是 {validator}", "无需变更"),
    "Consortium__TooFewValidators": ("将只剩 {left} 个验证者，至少需要 {minimum} 个", "请先增加或更换验证者"),
    "Consortium__SetMovesTooFast": (
        "在 {windowBlocks} 个区块内，{setBefore} 个验证者中移出 {removed} 个、加入 {added} 个，变动过快",
        "请等待该窗口结束：每个窗口至多变动三分之一",
    ),
    "Consortium__RotatedRecently": (
        "{id} 在高度 {atHeight} 更换过共识密钥",
        "两次更换之间须相隔 {windowBlocks} 个区块",
    ),
    "Consortium__WasInForce": ("{account} 处的合约曾经生效", "请重新部署已采纳的代码：一个合约只生效一次"),
    "Consortium__NotReplaceable": ("{name} 不可替换", "成员与表决规则随城市终身不变；需要不同规则时须另建城市"),
    "Consortium__WrongCode": ("{account} 处代码的哈希为 {actual}，提案为 {expected}", "请先部署已采纳的代码"),
    "Consortium__MalformedName": ("{name} 不是合约名称", "使用 1 至 32 个可打印 ASCII 字符"),
    "Consortium__NameTaken": ("名称 {name} 已被使用", "每个合约只列一次"),
    "Consortium__LengthsDiffer": ("{names} 个名称对应 {contracts} 个合约", "每个合约给一个名称"),
    "Consortium__NoFounders": ("联盟须有创始成员", "至少指明一个创始成员"),
    "Consortium__NothingToChange": ("该提案不改变任何内容", "请先查看现值"),
    "Consortium__WrongVersion": ("版本 {version} 不能接在 {current} 之后", "版本只能递增"),
    "Consortium__WrongHeight": ("高度 {height} 过早，最早为 {earliest}", "请选择更晚的高度"),
    "Consortium__UnknownKind": ("没有第 {kind} 类提案", "提案种类为 1 至 14"),
    "Consortium__MalformedProposal": ("{length} 字节不是第 {kind} 类提案的参数", "请按该类提案的格式编码"),
    "Consortium__WrongExpiry": (
        "提案不能在 {expiry} 到期",
        "请选择 {earliest} 至 {latest} 之间的时间（Unix 秒）",
    ),
    "Consortium__UnknownProposal": ("没有提案 {proposalId}", "查看提案：civicledger member proposals"),
    "Consortium__ProposalClosed": ("提案 {proposalId} 已结束（状态 {state}：2 已执行，3 已过期）", "请重新提出"),
    "Consortium__AlreadyVoted": ("{voter} 已对提案 {proposalId} 投票", "投票后不可更改"),
    "Consortium__TargetMayNotVote": ("提案 {proposalId} 涉及 {voter}，当事成员不参与表决", "请由其他成员决定"),
    "Consortium__NotCarried": ("提案 {proposalId} 获 {yes} 票赞成，共 {electorate} 票", "须超过三分之二同意"),
    "Consorted__NotAContract": ("{consortium} 处没有合约", "请先建立 Consortium"),
    "Directory__UnknownDataset": ("没有数据资源 {id}", "查看数据资源：civicledger dataset list"),
    "Directory__DatasetExists": ("数据资源 {id} 已发布", "请改为添加版本"),
    "Directory__WrongDatasetId": (
        "数据资源标识为 {actual}，按提供方和资源代码应为 {expected}",
        "请以本部门的资源代码计算标识",
    ),
    "Directory__MalformedResourceCode": ("资源代码长 {length} 个字符", "使用 1 至 64 个可见 ASCII 字符"),
    "Directory__NotProvider": ("数据资源 {id} 属于 {provider}，不属于 {sender}", "只有提供方可以变更数据资源"),
    "Directory__Withdrawn": ("数据资源 {id} 已撤回", "请发布新的数据资源"),
    "Directory__UnknownSharing": ("未知共享类型 {sharing}", "1 无条件，2 有条件，3 不予共享"),
    "Directory__UnknownLevel": ("未知数据级别 {level}", "1 一般，2 重要，3 核心"),
    "Directory__NoLegalBasis": ("不予共享的数据资源须有法律依据", "请给出法律依据的摘要"),
    "Directory__Missing": ("缺少 {field}", "请给出非零的值"),
    "Directory__Unchanged": ("{id} 没有任何变化", "请先查看现值"),
    "Directory__UnknownVersion": ("数据资源 {id} 没有版本 {number}", "版本从 1 起"),
    "Directory__UnknownEntry": ("没有清单条目 {id}", "查看清单：civicledger list"),
    "Directory__EntryClosed": ("清单条目 {id} 已结束（状态 {status}）", "请新增条目"),
    "Directory__NotAllowed": ("{sender} 不得变更清单条目 {id}", "请联系其作者或主管部门"),
    "Directory__UnknownMember": ("{id} 不是有效成员", "查看成员：civicledger member list"),
    "Directory__WrongDeadline": (
        "期限 {deadline} 超出范围",
        "请选择 {earliest} 至 {latest} 之间的时间（Unix 秒）",
    ),
    "Grants__UnknownGrant": ("没有授权 {id}", "查看授权：civicledger grant list"),
    "Grants__Missing": ("缺少 {field}", "缺省从不意味着不受限制：请给出值"),
    "Grants__DatasetWithdrawn": ("数据资源 {dataset} 已撤回", "请在目录中查找其后继"),
    "Grants__DatasetNotShared": ("数据资源 {dataset} 不予共享", "请提出需求并附法律依据"),
    "Grants__OwnDataset": ("数据资源 {dataset} 属于申请方自己", "使用自己的数据不需要授权"),
    "Grants__WrongDeadline": (
        "期限 {deadline} 超出范围",
        "请选择 {earliest} 至 {latest} 之间的时间，即 1 至 90 天之后",
    ),
    "Grants__WrongValidity": (
        "有效期至 {validUntil} 超出范围",
        "请选择 {earliest} 至 {latest} 之间的时间（Unix 秒）",
    ),
    "Grants__Closed": ("授权 {id} 已结束（状态 {status}：3 已拒绝，4 已撤销）", "请重新申请"),
    "Grants__Expired": ("授权 {id} 已于 {validUntil} 到期", "请重新申请"),
    "Grants__NotAllowed": (
        "{sender} 无权处理授权 {id}",
        "由提供方、按级别所需的主管部门或使用方处理",
    ),
    "Grants__AlreadyApproved": ("授权 {id} 已有此项批准（位 {approvals}）", "没有待批准的事项"),
    "Grants__ApprovalMissing": (
        "授权 {id} 缺少前置批准（位 {missing}）",
        "顺序：提供方、主管部门、联盟表决",
    ),
    "Grants__ApprovalNotNeeded": ("授权 {id} 不需要批准 {approval}（所需位 {needed}）", "无需处理"),
    "Grants__NotConsortium": ("{sender} 不是 Consortium", "此项批准只能来自通过的表决"),
    "Grants__WrongConsumer": (
        "授权 {id} 的使用方是 {actual}，表决的是 {expected}",
        "请以该授权的使用方提出提案",
    ),
    "Grants__NeverActive": ("授权 {id} 从未生效", "只结算使用过的授权"),
    "Grants__AlreadySettled": ("授权 {id} 的期间 {period} 已结算", "结算后不可更改"),
    "Anchors__NotOwnLog": ("{sender} 不得锚定 {member} 的日志", "成员只能锚定自己的日志"),
    "Anchors__EmptyLog": ("{member} 的日志为空", "写入第一条记录后再锚定"),
    "Anchors__LogShrinks": (
        "{member} 的日志已锚定到 {anchored} 条，不是 {size} 条",
        "日志从不缩短：请恢复日志，或由成员表决停用",
    ),
    "Anchors__RootDiffers": (
        "{member} 的日志在 {size} 条时已锚定的根为 {anchored}，不是 {root}",
        "同一长度只有一个根：日志被改写",
    ),
    "Anchors__IndexRootDiffers": (
        "{member} 的索引在 {size} 条时已锚定的根为 {anchored}，不是 {indexRoot}",
        "同一长度只有一个索引根",
    ),
    "Anchors__ProofFails": (
        "{member} 的 {size} 条日志不是已锚定的 {anchored} 条的延续",
        "日志被改写，或证明的长度不符：请运行 civicledger log fsck",
    ),
    "Anchors__MalformedNote": ("笔记长 {lengthA} 和 {lengthB} 字节", "笔记为 1 至 8192 字节"),
    "Anchors__SameNote": ("两份笔记相同", "分叉须由两份不同的笔记证明"),
    "Anchors__ForkKnown": ("该分叉已报告：{digest}", "无需再做"),
    "Licences__MalformedCode": ("{code} 不是证照类型代码", "使用定义单位 18 位统一社会信用代码加三位数字"),
    "Licences__UnknownType": ("没有证照类型 {code}", "查看类型：civicledger licence type list"),
    "Licences__TypeExists": ("证照类型 {code} 已定义", "请改为变更其说明"),
    "Licences__TypeWithdrawn": ("证照类型 {code} 已停用", "请定义新的类型"),
    "Licences__Unchanged": ("证照类型 {code} 没有变化", "请先核对现值"),
    "Licences__NotDefiningBody": (
        "{sender} 无权决定证照类型 {code}",
        "由代码中的定义单位决定；该单位不是有效成员时由主管决定",
    ),
    "Licences__NotForItself": ("{sender} 代替定义单位时不得为自己认可证照类型 {code}", "请另一主管办理"),
    "Licences__Missing": ("缺少 {field}", "请给出非零的值"),
    "Licences__UnknownMember": ("{id} 不是有效成员", "查看成员：civicledger member list"),
    "Licences__AlreadyAccredited": (
        "{member} 颁发 {code} 的认可没有终止时间（第 {number} 段）",
        "请先终止或缩短该段",
    ),
    "Licences__WrongSpan": (
        "认可期不能为 {validFrom} 至 {validUntil}",
        "上一段结束后从 {earliest} 起开始，在其后、{latest} 之前结束（Unix 秒）",
    ),
    "Licences__UnknownAccreditation": (
        "{member} 没有颁发 {code} 的第 {number} 段认可",
        "查看认可：civicledger licence accreditations {code} --member {member}",
    ),
    "Licences__WrongEnd": (
        "止于 {current}（0 为无期限）的认可不能改为止于 {validUntil}",
        "终止时间只能提前，最早为 {earliest}（Unix 秒）",
    ),
    "Licences__NotAccredited": (
        "{member} 在 {time} 未获认可颁发证照类型 {code}",
        "由定义该类型的单位认可：civicledger licence accreditations {code}",
    ),
    "Licences__UnknownList": ("{issuer} 没有状态列表 {number}", "列表从 1 起编号"),
    "Licences__WrongListNumber": ("下一个状态列表的编号是 {next}，不是 {number}", "编号不得间断"),
    "Licences__WrongVersion": (
        "状态列表 {number} 的下一版本是 {next}，不是 {version}",
        "另一进程已登记一个版本：请重新读取最新版本",
    ),
    "Licences__OtherUri": (
        "状态列表 {number} 的网址摘要是 {recorded}，不是 {uriDigest}",
        "证照写有列表网址，故网址不变：请新开列表",
    ),
    "Licences__WrongBits": ("每项 {bits} 位（列表为 {recorded} 位，0 为新列表）", "使用 1、2、4 或 8 位，且始终不变"),
    "Licences__WrongSize": ("状态列表为 {inflatedBytes} 字节", "列表不会缩短，应为 {least} 至 {most} 字节"),
    "Licences__SameList": ("状态列表 {number} 自版本 {version} 起没有变化（{listDigest}）", "无需登记"),
    "Recognition__NotCommission": (
        "{sender} 不是卫生健康主管部门",
        "卫生健康角色由成员表决授予：civicledger member propose set-roles",
    ),
    "Recognition__Missing": ("缺少 {field}", "请给出非零的值"),
    "Recognition__MalformedCode": ("{code} 不是代码", "使用 1 至 32 个可见 ASCII 字符"),
    "Recognition__WrongVersion": (
        "{region} 互认规则的下一版本为 {next}，不是 {version}",
        "请重新读取版本：版本不得跳号",
    ),
    "Recognition__SameRules": ("{region} 互认规则第 {version} 版已是此规则（{digest}）", "无需采用"),
    "Recognition__UnknownRules": ("{region} 的互认规则没有第 {version} 版", "查看：civicledger medical rules list"),
    "Recognition__RulesFixed": (
        "{region} 互认规则第 {version} 版自 {inForceFrom} 起生效，或已于 {withdrawnAt} 撤回",
        "生效过的规则不可更改：请采用下一版本",
    ),
    "Recognition__WrongTime": ("时间 {time} 超出范围", "请选择 {earliest} 至 {latest} 之间的时间（Unix 秒）"),
    "Recognition__WrongCount": ("一次提交 {count} 条", "请提交 1 至 {most} 条"),
    "Recognition__ItemKnown": ("项目 {item} 已登记", "请不要重复登记"),
    "Recognition__UnknownItem": ("链上没有项目 {item}", "采用规则时登记其项目：civicledger medical rules adopt"),
    "Recognition__WrongLevel": ("没有 {level} 级", "1 至 {most}，或以 0 除名"),
    "Recognition__Unchanged": ("{id} 没有任何变化", "请先查看现值"),
    "Recognition__UnknownInstitution": ("{member} 从未登记为医疗机构", "查看：civicledger medical institution list"),
    "Recognition__OtherRegion": ("{id} 由 {region} 负责，发送方代表 {own}", "请联系该地区的卫生健康主管部门"),
    "Recognition__NotHospital": (
        "{member} 不是具有医疗机构角色的有效成员",
        "角色由成员表决授予：civicledger member propose set-roles",
    ),
    "Recognition__RangeExists": ("互认范围 {range} 已开设过", "请另选代码"),
    "Recognition__UnknownRange": ("没有互认范围 {range}", "查看：civicledger medical range list"),
    "Recognition__RangeEnded": ("互认范围 {range} 已于 {validUntil} 终止", "请另开互认范围"),
    "Recognition__NotQualityBody": (
        "{member} 不是互认范围 {range} 的质量评价机构",
        "由该范围指定且具有质量评价角色的机构记录：civicledger medical range list",
    ),
    "Recognition__WrongEnd": (
        "终止时间为 {current}（0 为不限）的互认范围不能终止于 {validUntil}",
        "终止时间只能提前，最早为 {earliest}（Unix 秒）",
    ),
    "Recognition__SpanTooLong": (
        "评价结果的有效期不能为 {validFrom} 至 {validUntil}",
        "须在开始之后、最晚于 {latest} 结束（Unix 秒）",
    ),
    "Recognition__EqaKnown": ("本轮评价已记录为 {id}", "如有错误，请先撤销该记录"),
    "Recognition__UnknownEqa": ("链上没有室间质评记录 {id}", "查看：civicledger medical eqa list"),
    "Recognition__WrongRevocation": (
        "自 {current}（0 为未撤销）起撤销的记录不能改为自 {since} 起撤销",
        "请选择 {earliest} 至 {latest} 之间的时间；撤销时间只能提前（Unix 秒）",
    ),
    "Recognition__WrongRegion": ("{region} 不是另一地区", "请使用对方地区的 GB/T 2260 六位代码"),
    "Recognition__NotAscending": ("第 {place} 个项目没有接在前一个之后", "每个项目列一次，按序排列"),
    "Recognition__UnknownAgreement": ("没有协议 {number}", "查看：civicledger medical agreement list"),
    "Recognition__NotParty": ("{sender} 无权处理协议 {number}", "由对方地区的主管部门接受，双方主管部门均可终止"),
    "Recognition__AgreementClosed": (
        "协议 {number} 已于 {acceptedAt} 接受、{endedAt} 终止（0 为未发生）",
        "请另行提出协议",
    ),
}


def in_chinese(code: str, message: str, hint: str) -> tuple[str, str] | None:
    """Message and next step of a contract's refusal in Chinese; None for whatever else the code is, and for words that
    are not those of the table."""
    name = _names().get(code)
    if name is None:
        return None
    before = _CARRIED.match(message)
    found = _pattern(REFUSALS[name].message, r"\Z").match(message, before.end() if before else 0)
    further = _pattern(REFUSALS[name].hint, "").search(hint)
    if found is None or further is None:
        return None
    words, step = CHINESE[name]
    fields = {**found.groupdict(), **further.groupdict()}
    said = words.format(**fields)
    if before is not None:
        return (
            f"已投票，提案 {before[1]} 已通过，但未能执行：{said}",
            f"{step.format(**fields)}；然后：civicledger member execute {before[1]}",
        )
    if "--anyway" in hint:
        step += "（member propose replace-validator 或 set-validator）；--anyway 可仍然提交表决"
    return said, step.format(**fields)


#: What MemberService.Vote says before a refusal to carry a proposal out.
_CARRIED = re.compile(r"the vote is cast and proposal (\d+) is carried, but not carried out: ")


@cache
def _names() -> dict[str, str]:
    return {error_code(name): name for name in REFUSALS}


@cache
def _pattern(template: str, end: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(f"(?P<{part}>.*?)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(text + end, re.DOTALL)

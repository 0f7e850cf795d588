"""Words of names that tell nobody from anybody: legal forms, titles, and what every second company calls itself."""

from collections.abc import Mapping
from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LEGAL_FORMS: Final[Mapping[str, str]] = {
    "AT CH DE LI": "gmbh, ag, kg, ohg, ug, gmbh co kg, gmbh und co kg, ag co kg, gesellschaft mit beschrankter haftung, ev, eg",
    "BE NL": "bv, nv, cv, vof, bvba, sprl, naamloze vennootschap, besloten vennootschap",
    "BR ES FR IT PT": "sa, sas, sasu, sarl, sarlu, eurl, snc, sci, scs, srl, spa, sapa, sl, slu, sau, slne, lda, ltda, sca",
    "CY GB HK IE IN SG US": "ltd, limited, plc, llp, llc, lp, inc, incorporated, corp, corporation, co, company, co ltd, pte ltd,"
    " pvt ltd, private limited, public limited company, co limited, company limited, pty ltd",
    "CZ SK": "sro, as, spol sro, akciova spolecnost",
    "DK FI NO SE": "as, asa, ab, oy, oyj, aps, ab publ, aktiebolag, aktieselskab",
    "AE IR OM QA SA": "fze, fzco, fzc, wll, pjsc, psc, saog, saoc, dmcc, fz llc",
    "HU PL RO": "kft, zrt, nyrt, bt, sp zoo, sp z oo, spolka akcyjna, spolka z ograniczona odpowiedzialnoscia, sc",
    "JP KR": "kk, kabushiki kaisha, yk, godo kaisha, chusik hoesa",
    "BY KZ RU UA": "ooo, oao, zao, pao, ao, too, tov, pat, prat, fgup, gup, jsc, ojsc, cjsc, pjsc, obshchestvo s ogranichennoy"
    " otvetstvennostyu, aktsionernoe obshchestvo, publichnoe aktsionernoe obshchestvo",
    "ID MY TH TR": "pt, tbk, sdn bhd, bhd, berhad, as, ltd sti, anonim sirketi, limited sirketi",
    "VN": "cong ty tnhh, cong ty co phan, tnhh",
}
LEGAL_FORMS: Final = frozenset(tuple(form.split()) for forms in _LEGAL_FORMS.values() for form in forms.split(", "))
"""Each as the words of `names.latin_words`. Countries are given for the reader only: a form is taken off wherever it stands."""
LEGAL_FORM_WORDS_MAX: Final = max(len(form) for form in LEGAL_FORMS)

CHINESE_LEGAL_FORMS: Final = (
    *("集团股份有限公司", "集团有限责任公司", "集团有限公司", "股份有限公司", "有限责任公司", "有限公司", "股份公司"),
    *("集团公司", "总公司", "分公司", "子公司", "公司", "株式会社", "有限合伙", "合伙企业", "个体工商户"),
)
"""In simplified characters; the longest first."""

TITLES: Final = _set(
    "mr mrs ms miss mister dr prof professor sir dame lord lady herr frau monsieur madame mme sr sra don dona eng ing mag "
    "dipl gen general col colonel maj major capt captain hajji haji sheikh sheik mullah mawlawi ustad sayyid jr snr"
)

COMMON: Final = _set(
    "international trading trade group industries industry industrial bank global holding holdings services service import "
    "export importexport technology technologies tech enterprise enterprises solutions systems general consulting logistics "
    "shipping transport transportation construction engineering development investment investments capital finance "
    "financial electronics energy oil gas petroleum foundation association organization organisation center centre "
    "institute national world commercial business management partners marketing products manufacturing factory co company "
    "trust fund house shop store agency supply equipment chemical machinery medical pharma food foods media digital "
    "software handel handels trans gesellschaft societe compagnie"
)
"""Words that weigh little even where a list is too small to show how common they are."""

PARTICLES: Final = _set(
    "and und et y e the of for de del della di da do dos der die das van von zu la le el al ul bin ibn bint ben abu ould oglu"
)
"""Words between words, which say next to nothing and are left out at will."""

CHINESE_COMMON: Final[Mapping[str, str]] = {
    "国际": "international",
    "贸易": "trading",
    "进出口": "import export",
    "科技": "technology",
    "技术": "technology",
    "实业": "industry",
    "工业": "industry",
    "集团": "group",
    "控股": "holding",
    "投资": "investment",
    "发展": "development",
    "电子": "electronics",
    "机械": "machinery",
    "设备": "equipment",
    "化工": "chemical",
    "能源": "energy",
    "石油": "petroleum",
    "物流": "logistics",
    "运输": "transport",
    "航运": "shipping",
    "建筑": "construction",
    "工程": "engineering",
    "银行": "bank",
    "金融": "finance",
    "管理": "management",
    "咨询": "consulting",
    "服务": "service",
    "商贸": "trading",
    "制造": "manufacturing",
    "食品": "food",
    "医药": "pharma",
    "医疗": "medical",
    "软件": "software",
    "信息": "information",
    "网络": "network",
    "文化": "culture",
    "传媒": "media",
    "材料": "materials",
    "汽车": "automobile",
    "电力": "power",
    "企业": "enterprise",
    "商行": "trading",
    "经贸": "trading",
    "供应链": "supply chain",
    "基金会": "foundation",
}
"""Common words of Chinese company names in simplified characters, and the English word that stands for them on a list."""

CHINESE_PLACES: Final = _set(
    "中国 北京 上海 天津 重庆 广东 江苏 浙江 山东 河南 河北 四川 湖北 湖南 福建 安徽 辽宁 吉林 黑龙江 "
    "陕西 山西 江西 云南 贵州 广西 海南 甘肃 青海 宁夏 新疆 西藏 内蒙古 香港 澳门 台湾 深圳 广州 杭州 "
    "南京 苏州 武汉 成都 西安 青岛 大连 宁波 厦门 东莞 佛山 无锡 长沙 沈阳 郑州 济南 哈尔滨 长春 福州 "
    "合肥 昆明 温州 珠海 丹东 义乌"
)

"""Hints while somebody types: beneficiaries kept, then searched by beginnings of every length, in the use case and its store.

python -m bench.hints [--beneficiaries 50000]
"""

import argparse
import asyncio
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import setting
from gateway.hints import query_words, search_words
from gateway.store.plans import PlanKey, PlanKind, PlanState, PlanWrite
from gateway.store.sqlite import SqliteStore

PLACES = [
    "北京",
    "上海",
    "广州",
    "深圳",
    "杭州",
    "南京",
    "武汉",
    "成都",
    "西安",
    "重庆",
    "苏州",
    "天津",
    "长沙",
    "青岛",
    "宁波",
    "郑州",
]
WORDS = [
    "华兴",
    "长城",
    "东方",
    "国泰",
    "中信",
    "金利",
    "永安",
    "恒达",
    "宏远",
    "天成",
    "瑞丰",
    "明德",
    "嘉禾",
    "远洋",
    "新宇",
    "盛世",
    "同仁",
    "大通",
    "联创",
    "鼎新",
]
TRADES = ["科技", "贸易", "物流", "建设", "电子", "食品", "医药", "机械", "能源", "材料", "服饰", "传媒"]
LATIN = [
    "Alpha",
    "Baltic",
    "Crown",
    "Delta",
    "Euro",
    "Falcon",
    "Global",
    "Harbour",
    "Inter",
    "Jupiter",
    "Kraft",
    "Lion",
    "Metro",
    "Nord",
    "Orient",
    "Prime",
]


async def main(count: int) -> None:
    print(f"hints: {setting.machine()}")
    dice = random.Random(8)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "bankgate.db", clock=lambda: datetime(2026, 11, 25, 9, tzinfo=UTC))
        await store.open()
        started = time.perf_counter()
        for first in range(0, count, 200):
            await asyncio.gather(*(put(store, number, dice) for number in range(first, min(first + 200, count))))
        print(f"  {count} beneficiaries kept in {time.perf_counter() - started:.1f} s")
        for _ in range(500):
            await store.use_plan(key(dice.randrange(count)))
        now = datetime(2026, 11, 25, 9, tzinfo=UTC)
        for query in ("b", "s", "bei", "beijing", "bjhx", "北京", "北京华兴", "al", "alpha d", "huaxing", "1234", "beijing keji"):
            seconds, spent = [], time.process_time()
            for _ in range(15):
                at = time.perf_counter()
                found, _ = await store.search_plans("erp", query_words(query), used_since=now - timedelta(days=90), limit=10)
                seconds.append(time.perf_counter() - at)
            ordered = sorted(seconds)
            cpu = (time.process_time() - spent) / 15
            print(
                f"  {query!r:16} {len(found):2} hints: median {ordered[7] * 1e3:6.1f} ms, longest {ordered[-1] * 1e3:6.1f} ms,"
                f" {cpu * 1e3:5.1f} ms of CPU"
            )
        await store.close()


def key(number: int) -> PlanKey:
    return PlanKey(kind=PlanKind.BENEFICIARY, caller="erp", plan_id=f"b-{number}")


async def put(store: SqliteStore, number: int, dice: random.Random) -> None:
    if number % 4:
        name = f"{dice.choice(PLACES)}{dice.choice(WORDS)}{dice.choice(TRADES)}有限公司"
    else:
        name = f"{dice.choice(LATIN)} {dice.choice(LATIN)} {number} GmbH"
    account = f"6222{dice.randrange(10**15):015}"
    words = search_words((name, "", f"b-{number}"), (account,))
    content = f'{{"creditor": {{"name": "{name}"}}, "creditor_account": {{"other_id": "{account}"}}}}'
    await store.put_plan(
        PlanWrite(key=key(number), state=PlanState.ACTIVE, content=content, changed_by="caller: erp", words=words)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beneficiaries", type=int, default=50_000)
    setting.run(main(parser.parse_args().beneficiaries))

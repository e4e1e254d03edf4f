"""Answers that many who ask at once share."""

from __future__ import annotations

import asyncio

from checkback.api.dashboard.singleflight import SingleFlight


async def test_all_who_ask_at_once_share_an_answer_that_began_after_they_asked() -> None:
    together, made = SingleFlight[int](), list[int]()
    gates = [asyncio.Event(), asyncio.Event()]
    begun = asyncio.Event()

    async def make() -> int:
        made.append(len(made))
        begun.set()
        await gates[made[-1]].wait()
        return made[-1]

    first = asyncio.create_task(together.ask("q", make))
    await begun.wait()
    later = [asyncio.create_task(together.ask("q", make)) for _ in range(50)]
    other = asyncio.create_task(together.ask("another", lambda: asyncio.sleep(0, 7)))
    assert await other == 7  # another question waits for nobody
    later[0].cancel()  # one that disconnects takes nothing from the others
    assert made == [0]
    gates[0].set()
    assert await first == 0
    gates[1].set()
    assert set(await asyncio.gather(*later[1:])) == {1}
    assert made == [0, 1]


async def test_what_is_wrong_is_told_to_all_and_the_next_question_is_answered() -> None:
    together = SingleFlight[int]()

    async def fail() -> int:
        raise ValueError("wrong")

    told = await asyncio.gather(
        *(together.ask("q", fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(one) for one in told] == [ValueError] * 3
    assert await together.ask("q", lambda: asyncio.sleep(0, 1)) == 1


async def test_questions_one_after_the_other_are_each_answered_anew() -> None:
    together, made = SingleFlight[int](), list[int]()

    async def make() -> int:
        made.append(1)
        return len(made)

    assert [await together.ask("q", make) for _ in range(3)] == [1, 2, 3]

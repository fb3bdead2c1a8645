"""The family of tool calls in ZAYA's format, and answers from what the tools return."""
import json

from . import words as W
from .base import Dialogue, Phrases, invented, vary

P = Phrases


def spec(name, description, **parameters):
    """A tool as the OpenAI API lists it; parameters as name=(type, description)."""
    rows = {k: {"type": t, "description": d} if d else {"type": t} for k, (t, d) in parameters.items()}
    return {"type": "function", "function": {"name": name, "description": description,
                                             "parameters": {"type": "object", "properties": rows, "required": list(rows)}}}


def _city(rng):
    return invented(rng, W.SYLLABLES) if rng.random() < 0.3 else rng.choice(list(W.CAPITALS.values()))


def weather(rng):
    arg, city, t, sky = rng.choice(["city", "city", "location", "place"]), _city(rng), rng.randint(-9, 35), rng.choice(W.CONDITIONS)
    name = rng.choice(["get_weather", "get_weather", "weather", "current_weather", "lookup_weather"])
    tool = spec(name, rng.choice(["Get the weather of a city.", "Get the current weather.", "Current weather for a place.", ""]), **{arg: ("string", rng.choice(["Name of the city", "The city", ""]))})
    result = rng.choice([json.dumps({"temperature": t, "condition": sky}), json.dumps({"condition": sky, "temperature": t}), f"{sky}, {t} degrees", json.dumps({"city": city, "temperature": t, "condition": sky})])
    return tool, {arg: city}, {"city": city}, result, f"In {city} it is {sky}, {t} degrees."


def calculator(rng):
    a, b, op = rng.randint(10, 999), rng.randint(2, 999), rng.choice("+-*")
    value = a + b if op == "+" else a - b if op == "-" else a * b
    tool = spec(rng.choice(["calculator", "calculator", "calculate", "compute"]), rng.choice(["Evaluate an arithmetic expression.", "Compute an expression.", "A calculator."]), expression=("string", rng.choice(["The expression", ""])))
    text = f"{a} {op} {b}"
    return tool, {"expression": text}, {"e": text}, rng.choice([str(value), json.dumps({"result": value})]), f"{text} = {value}."


def add_numbers(rng):
    a, b = rng.randint(1, 9999), rng.randint(1, 9999)
    tool = spec(rng.choice(["add_numbers", "add", "sum_numbers"]), rng.choice(["Add two integers.", "Sum of two numbers."]), a=("integer", ""), b=("integer", ""))
    return tool, {"a": a, "b": b}, {"a": a, "b": b}, rng.choice([str(a + b), json.dumps({"sum": a + b})]), f"The sum is {a + b}."


def clock(rng):
    city, now = _city(rng), f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    arg = rng.choice(["city", "city", "location", "timezone"])
    tool = spec(rng.choice(["get_time", "get_time", "current_time", "clock"]), rng.choice(["Get the current time in a city.", "Current time of a place.", ""]), **{arg: ("string", "")})
    return tool, {arg: city}, {"city": city}, rng.choice([now, json.dumps({"time": now})]), f"It is {now} in {city}."


def timer(rng):
    n, arg = rng.randint(1, 90), rng.choice(["minutes", "minutes", "duration"])
    tool = spec(rng.choice(["set_timer", "set_timer", "start_timer"]), rng.choice(["Start a timer.", "Set a timer for some minutes."]), **{arg: ("integer", rng.choice(["Minutes", ""]))})
    return tool, {arg: n}, {"n": n}, rng.choice(["ok", json.dumps({"status": "ok"}), "started"]), f"The timer runs for {n} minutes."


def currency(rng):
    a, b = rng.sample(W.CURRENCIES, 2)
    amount, value = rng.choice([rng.randint(1, 999), rng.randint(10, 999) / 10]), rng.randint(10, 9999) / 10
    tool = spec(rng.choice(["convert_currency", "convert_currency", "exchange"]), rng.choice(["Convert money between currencies.", "Exchange an amount of money."]), amount=("number", ""), source=("string", ""), target=("string", ""))
    return tool, {"amount": amount, "source": a, "target": b}, {"a": a, "b": b, "n": amount}, rng.choice([str(value), json.dumps({"result": value})]), f"{amount} {a} is {value} {b}."


def translate(rng):
    text = " ".join(rng.choice(W.SPELL) for _ in range(rng.randint(1, 3)))
    tongue, out = rng.choice(W.TONGUES), invented(rng, W.SYLLABLES).lower()
    tool = spec(rng.choice(["translate", "translate_text"]), rng.choice(["Translate a text.", "Translate text into a language."]), text=("string", ""), language=("string", ""))
    return tool, {"text": text, "language": tongue}, {"t": text, "l": tongue}, rng.choice([out, json.dumps({"translation": out})]), f"In {tongue}: {out}."


def light(rng):
    room, on = rng.choice(W.ROOMS), rng.random() < 0.5
    tool = spec(rng.choice(["set_light", "switch_light"]), rng.choice(["Switch a light on or off.", "Control the lights."]), room=("string", ""), on=("boolean", ""))
    return tool, {"room": room, "on": on}, {"r": room, "s": "on" if on else "off"}, rng.choice(["ok", "done", json.dumps({"status": "ok"})]), f"The light in the {room} is {'on' if on else 'off'}."


def shopping(rng):
    items = rng.sample(W.ITEMS, rng.randint(1, 3))
    text = items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
    tool = spec(rng.choice(["add_to_list", "add_items"]), rng.choice(["Add items to the shopping list.", "Put things on the shopping list."]), items=("array", ""))
    return tool, {"items": items}, {"t": text}, rng.choice(["ok", json.dumps({"status": "ok"}), json.dumps({"added": len(items)})]), f"I put {text} on the list."


def search(rng):
    topic = rng.choice(W.ANIMALS + W.PLACES + W.HOBBIES + W.FOODS) + rng.choice(["", "", " history", " pictures", " books"])
    found = f"{invented(rng, W.SYLLABLES)} {rng.choice(W.SPELL)} {rng.randint(1, 99)}"
    tool = spec(rng.choice(["web_search", "search", "find"]), rng.choice(["Search the web.", "Find pages on the web."]), query=("string", ""))
    return tool, {"query": topic}, {"t": topic}, rng.choice([found, json.dumps({"title": found})]), f"I found this: {found}."


def message(rng):
    name, text = rng.choice(W.NAMES), rng.choice(["hello", "good night", "dinner is ready", "see you on " + rng.choice(W.DAYS), "I am at the " + rng.choice(W.PLACES), "happy birthday", "call me"])
    tool = spec(rng.choice(["send_message", "send_sms"]), rng.choice(["Send a message to a person.", "Write a message to somebody."]), to=("string", ""), text=("string", ""))
    return tool, {"to": name, "text": text}, {"n": name, "t": text}, rng.choice(["sent", "ok", json.dumps({"status": "sent"})]), f"I sent your message to {name}."


KINDS = {
    weather: (P("""What is the weather in {city}?
How is the weather in {city}?
What is the weather like in {city}?
Tell me the weather in {city}.
Is it raining in {city}?
How warm is it in {city}?
What is the temperature in {city}?
I need the weather for {city}.
Weather in {city}?
How cold is it in {city}?
|
What's the weather in {city}?
Can you tell me the weather in {city}?
How is the weather today in {city}?"""), "the weather in {city}"),
    calculator: (P("""What is {e}?
Compute {e}.
Calculate {e}.
How much is {e}?
Use the calculator for {e}.
Work out {e} with the calculator.
Please calculate {e}.
{e} = ?
|
Please compute {e}.
Can you calculate {e}?"""), "the result of {e}"),
    add_numbers: (P("""Add {a} and {b}.
What is the sum of {a} and {b}?
Sum up {a} and {b}.
Please add {a} and {b}.
What is {a} plus {b}?
How much is {a} plus {b}?
|
Please sum up {a} and {b}.
Can you add {a} and {b}?"""), "the sum of {a} and {b}"),
    clock: (P("""What time is it in {city}?
Tell me the time in {city}.
What is the time in {city}?
How late is it in {city}?
Which time is it in {city} now?
I need the time in {city}.
|
Can you tell me the time in {city}?
What time is it now in {city}?"""), "the time in {city}"),
    timer: (P("""Set a timer for {n} minutes.
Can you start a timer for {n} minutes?
Please set a timer of {n} minutes.
Start a timer of {n} minutes.
Please set a timer for {n} minutes.
I need a timer for {n} minutes.
Timer for {n} minutes.
Remind me in {n} minutes.
|
Please start a timer for {n} minutes.
Can you set a timer for {n} minutes?"""), "a timer of {n} minutes"),
    currency: (P("""Convert {n} {a} to {b}.
How much is {n} {a} in {b}?
What is {n} {a} in {b}?
Change {n} {a} into {b}.
Please convert {n} {a} to {b}.
I have {n} {a}. How much is that in {b}?
|
Can you convert {n} {a} to {b}?
Please change {n} {a} into {b}."""), "{n} {a} in {b}"),
    translate: (P("""Translate "{t}" into {l}.
How do you say "{t}" in {l}?
What is "{t}" in {l}?
Translate {t} to {l}.
Please translate "{t}" into {l}.
|
Can you translate "{t}" into {l}?
Please translate {t} to {l}."""), "{t} in {l}"),
    light: (P("""Turn {s} the light in the {r}.
Switch {s} the light in the {r}.
Switch the {r} light {s}.
Please switch {s} the {r} light.
Please turn the {r} light {s}.
Can you switch {s} the light in the {r}?
Turn the {r} light {s}.
Switch the light in the {r} {s}.
Please turn {s} the {r} light.
Light {s} in the {r}.
|
Please switch the {r} light {s}.
Can you turn {s} the light in the {r}?"""), "the {r} light {s}"),
    shopping: (P("""Put {t} on my shopping list.
Add {t} to the shopping list.
I need to buy {t}.
Please put {t} on the list.
Add {t} to my list.
|
Please add {t} to the shopping list.
Can you put {t} on my list?"""), "{t} on the list"),
    search: (P("""Search the web for {t}.
Find pages about {t}.
Look up {t} on the web.
Search for {t}.
What does the web say about {t}?
|
Please search the web for {t}.
Can you find pages about {t}?"""), "pages about {t}"),
    message: (P("""Send a message to {n}: {t}
Tell {n}: {t}
Send {n} this: {t}
Please send a message to {n}: {t}
Please tell {n}: {t}
Write this message to {n}: {t}
Write to {n}: {t}
Please send {n} this message: {t}
Message {n}: {t}
|
Please write to {n}: {t}
Send this message to {n}: {t}"""), "a message to {n}"),
}


def tool_set(rng, kind):
    """The tool of this kind's call among up to two others. Returns (tools, call data)."""
    data = kind(rng)
    others = rng.sample([k for k in KINDS if k is not kind and {k, kind} != {calculator, add_numbers}], rng.choice([0, 0, 0, 1, 1, 2]))
    tools = [data[0]] + [k(rng)[0] for k in others]
    rng.shuffle(tools)
    return tools, data


def tools(rng, held, others):
    """A question that needs a tool: the call is wanted, or the answer from the result, or with tools at hand neither."""
    kind = rng.choice(list(KINDS))
    listed, (tool, arguments, words, result, answer) = tool_set(rng, kind)
    name = tool["function"]["name"]
    ask, gist = KINDS[kind]
    question = vary(rng, ask.pick(rng, held).format(**words)) if kind is not message else ask.pick(rng, held).format(**words)
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}}]}
    user = {"role": "user", "content": question}
    think = f"The user wants {gist.format(**words)}. I call {name}."
    dice = rng.random()
    if dice < 0.12:
        turn = rng.choice(others)(rng, held)
        return Dialogue([{"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.answer}], turn.think, "tools", listed)
    before = []
    if rng.random() < 0.15:
        turn = rng.choice(others)(rng, False)
        before = [{"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.answer}]
    if dice < 0.58:
        return Dialogue(before + [user, call], think, "tools", listed)
    call = dict(call, reasoning_content=think)
    end = [{"role": "tool", "content": result}, {"role": "assistant", "content": answer}]
    return Dialogue(before + [user, call] + end, "The tool has answered.", "tools", listed)

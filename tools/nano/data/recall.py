"""Families that look back: recall over several turns, and facts stated far back in a long prompt."""
from . import words as W
from .base import Dialogue, Phrases, Turn, invented, vary

P = Phrases

# topic -> (ways to tell, reply, ways to ask, answer, short thought)
TOPICS = {
    "name": (P("""My name is {v}.
I am {v}.
Hi, I am {v}.
Hello, my name is {v}.
Call me {v}.
I am called {v}.
You can call me {v}.
Please call me {v}.
The name is {v}.
People call me {v}.
|
Hi, my name is {v}.
Hello, I am {v}.
Just call me {v}."""), "Nice to meet you, {v}!", P("""What is my name?
Do you remember my name?
What am I called?
Do you know who I am?
Do you know what I am called?
Please say my name.
Do you still know my name?
Tell me my name.
Who am I?
What was my name?
Can you tell me my name?
What did I say my name was?
Say my name.
|
Do you know my name?
What's my name?
Please tell me my name."""), "Your name is {v}."),
    "colour": (P("""My favourite colour is {v}.
I like the colour {v} best.
{V} is my favourite colour.
My favorite color is {v}.
The colour I like most is {v}.
I love the colour {v}.
Of all colours I like {v} best.
The best colour is {v}.
|
I like {v} best of all colours.
The colour I love most is {v}."""), "{V} is a fine colour.", P("""What is my favourite colour?
Which colour do I like best?
What colour do I like?
Which one is the colour that I like?
Which is the colour I like?
Which colour did I say I like?
Which colour do I like most?
Do you still know my favourite colour?
Do you know which colour I like?
Can you name my favourite colour?
Which colour do I love?
Do you remember my favourite colour?
What is my favorite color?
Tell me my favourite colour.
What was my favourite colour?
Which colour is it that I like?
Which colours do I like?
Do you know what my favourite colour is?
Tell me which colour I like.
Do you remember which colour I like?
Which colour is my favourite?
Which colour is the one I like?
Which colour did I tell you that I like?
What colour is it that I like?
Do you know the colour I like?
Which colour was it that I like?
|
Do you know my favourite colour?
Which colour do I like?"""), "Your favourite colour is {v}."),
    "pet": (P("""I have a {v}.
My pet is a {v}.
I own a {v}.
At home I have a {v}.
I live with a {v}.
I got a {v} last year.
|
My pet at home is a {v}.
I have a {v} at home."""), "A {v} is a lovely pet.", P("""What pet do I have?
Which animal do I have?
What is my pet?
Do you remember my pet?
What kind of animal do I own?
What animal is my pet?
What animal do I own?
Do you know my pet?
Do you know what pet I have?
Which pet do I have?
Tell me which pet I have.
|
Do you know which pet I have?
What animal do I have?"""), "You have a {v}."),
    "food": (P("""I like to eat {v}.
My favourite food is {v}.
I love {v}.
The food I like best is {v}.
I eat {v} every day.
My favorite food is {v}.
|
The food I love is {v}.
I like {v} best of all food."""), "I hear that {v} tastes good.", P("""What is my favourite food?
What do I like to eat?
Which food do I like?
Do you remember what I like to eat?
Do you know what I like to eat?
Do you know the food I like?
Which food do I like best?
What food do I love?
Tell me my favourite food.
|
Do you know my favourite food?
Which food do I love?"""), "Your favourite food is {v}."),
    "city": (P("""I live in {v}.
My home is in {v}.
I am from {v}.
I come from {v}.
My city is {v}.
I moved to {v}.
My home town is {v}.
My home city is {v}.
My home is the town of {v}.
My home is now in {v}.
My home for many years is {v}.
My house is in {v}.
I live in the town of {v}.
I live in the old city of {v}.
I live in the big city of {v}.
I live in the centre of {v}.
I am from the city of {v}.
I come from the city of {v}.
I moved to the city of {v}.
|
My home is {v}.
I live in the city of {v}."""), "{v} is a nice place.", P("""Where do I live?
In which city do I live?
What city am I from?
What city is my home?
What is the city where I live?
What city did I say I live in?
Do you know my city?
Do you know in which city I live?
Do you remember where I live?
Which city do I live in?
Tell me where I live.
Where is my home?
Do you know where my home is?
Do you know where it is that I live?
What city do I call home?
What city do I come from?
What is the city that I live in?
Do you still know where I live?
Tell me what city I live in.
Do you know the city where I live?
Do you know where I come from?
Do you know where I am at home?
What city do I come from, do you know?
What is my city?
What town do I live in?
What place do I live in?
Which city am I living in?
What city am I living in?
Do you know what city I live in?
Do you remember what city I live in?
Can you tell me where I live?
|
Do you know where I live?
What city do I live in?"""), "You live in {v}."),
    "hobby": (P("""My hobby is {v}.
I enjoy {v}.
In my free time I like {v}.
I spend my weekends with {v}.
At weekends I enjoy {v}.
When I have free time, I like {v}.
My main hobby is {v}.
My favourite hobby is {v}.
My hobby on Sundays is {v}.
My hobby in the summer is {v}.
My hobby these days is {v}.
My hobby in the evening is {v}.
My hobby for many years is {v}.
My hobby at home is {v}.
My hobby is {v} at the moment.
I enjoy {v} in my free time.
I love {v} in the evening.
I like {v} at the weekend.
I like {v} on Sundays.
I like {v} when I have time.
I like {v} after work.
I like {v} in the summer.
|
My hobby at the weekend is {v}.
I like {v} in my free time."""), "That sounds like fun.", P("""What is my hobby?
What do I enjoy?
What hobby did I tell you about?
What hobby have I got?
What kind of hobby do I have?
What is the name of my hobby?
Do you still know my hobby?
Do you know what I enjoy?
Do you know which hobby I have?
Which hobby is mine?
Which hobby do I have?
Do you remember my hobby?
What do I like to do?
What is the hobby that I have?
Do you still know what my hobby is?
Can you name my hobby?
Tell me my hobby.
Do you know the hobby that I have?
Do you know a hobby of mine?
What hobbies do I have?
What is a hobby that I have?
And my hobby, do you know it?
What hobby did I name?
Tell me what hobby I have.
Do you know what my hobby is?
Do you know what hobby I have?
Do you remember what hobby I have?
Do you remember which hobby I have?
What hobby is mine?
What hobby do I enjoy?
What hobby did I say I have?
What was my hobby?
Can you tell me my hobby?
Do you know my favourite hobby?
Do you know my main hobby?
|
Do you know my hobby?
What hobby do I have?"""), "Your hobby is {v}."),
    "job": (P("""I work as a {v}.
My job is {v}.
I am a {v} by trade.
I earn my money as a {v}.
I have a job as a {v}.
|
My work: I am a {v}.
I have worked as a {v}."""), "That is good work.", P("""What is my job?
What do I work as?
What job did I say I have?
Do you know what I work as?
Do you know which job I have?
What kind of job do I have?
Which job do I have?
Do you remember my job?
What do I do for a living?
Tell me my job.
|
Do you know my job?
What job do I have?"""), "You work as a {v}."),
    "number": (P("""My lucky number is {v}.
My favourite number is {v}.
Remember the number {v}.
Please remember this number: {v}.
Keep the number {v} in mind.
The number is {v}.
|
Please remember the number {v}.
Keep this number in mind: {v}."""), "I will remember {v}.", P("""What is my number?
Which number did I tell you?
What number did I say?
Which number was it?
Do you know my number?
Do you still know the number?
Do you know which number I told you?
Which number did I give you?
Do you remember the number?
What was the number?
Tell me the number.
What is my lucky number?
|
Do you know the number?
Which number did I say?"""), "The number is {v}."),
}


def _value(rng, topic):
    pools = {"name": W.NAMES, "colour": W.COLOURS, "pet": W.ANIMALS, "food": W.FOODS, "hobby": W.HOBBIES, "job": W.JOBS}
    if topic == "number":
        return str(rng.randint(1, 9999))
    if topic == "city":
        return invented(rng, W.SYLLABLES) if rng.random() < 0.3 else rng.choice(list(W.CAPITALS.values()))
    if topic == "name" and rng.random() < 0.3:
        return invented(rng, W.SYLLABLES)
    return rng.choice(pools[topic])


def _fill(text, value):
    return text.replace("{v}", value).replace("{V}", value.capitalize())


def turns_to_messages(turns):
    """Earlier turns with their answers; the last turn's question stays open."""
    out = []
    for t in turns:
        out += [{"role": "user", "content": t.user}, {"role": "assistant", "content": t.answer}]
    return out


def _told(rng, held, topic, value):
    tell, reply, _, _ = TOPICS[topic]
    return Turn(_fill(tell.pick(rng, held), value), "", _fill(reply, value))


def _asked(rng, held, topic, value):
    _, _, ask, answer = TOPICS[topic]
    return Turn(vary(rng, ask.pick(rng, held)), f"The user said it before: {value}.", _fill(answer, value))


def recall_turns(rng, count):
    """Drill: several things told, then asked about in another order, some of them twice."""
    topics = rng.sample(list(TOPICS), count)
    values = {t: _value(rng, t) for t in topics}
    asked = rng.sample(topics, count) + rng.sample(topics, count // 2)
    return [_told(rng, False, t, values[t]) for t in topics] + [_asked(rng, False, t, values[t]) for t in asked]


def recall(rng, held, others):
    """Some statements, some unrelated turns from `others`, then a question about one of the statements."""
    topics = rng.sample(list(TOPICS), rng.choice([1, 1, 1, 2, 2, 3]))
    values = {t: _value(rng, t) for t in topics}
    turns = [_told(rng, held, t, values[t]) for t in topics]
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        turns.insert(rng.randint(1, len(turns)), rng.choice(others)(rng, False))
    asked = rng.sample(topics, rng.randint(1, len(topics)))
    turns += [_asked(rng, held, t, values[t]) for t in asked]
    return Dialogue(turns_to_messages(turns), turns[-1].think, "recall")


def statement(rng, held):
    """The first half of a recall alone, as one turn: the model's reply to being told something."""
    topic = rng.choice(list(TOPICS))
    tell, reply, _, _ = TOPICS[topic]
    value = _value(rng, topic)
    return Turn(_fill(tell.pick(rng, held), value), "The user tells me something. I will remember it.", _fill(reply, value))


# kind -> (ways to state it, ways to ask, answer)
NEEDLES = {
    "code": (P("""The secret code is {v}.
Remember this code: {v}.
The code of the safe is {v}.
Note that the secret code is {v}.
Note the secret code {v}.
Please remember the secret code {v}.
The secret code is now {v}.
The secret code of the door is {v}.
Today the secret code is {v}.
|
Please note the secret code {v}.
The secret code of the safe is {v}."""), P("""What is the secret code?
What is the code?
Which code was in the text?
Which code is secret?
Which code was the secret one?
Which secret code do you remember?
What code is the secret code?
Name the secret code.
Do you know the secret code?
Do you remember the code?
Do you still know the secret code?
Can you remember the secret code?
Which one was the secret code?
Tell me the secret code.
What was the secret code?
|
Do you remember the secret code?
Which code is the secret code?"""), "The secret code is {v}."),
    "word": (P("""The magic word is {v}.
Remember the magic word: {v}.
The magic word for today is {v}.
Note that the magic word is {v}.
Note the magic word {v}.
Please remember the magic word {v}.
The magic word is now {v}.
The magic word of the week is {v}.
Today the magic word is {v}.
The magic word of this month is {v}.
Here is the magic word: {v}.
Please note that the magic word is {v}.
|
Please note the magic word {v}.
The magic word of the day is {v}."""), P("""What is the magic word?
Which magic word was in the text?
Which word is magic?
Which word was the magic one?
Which magic word do you remember?
What word is the magic word?
Name the magic word.
Do you know the magic word?
Do you remember the word that is magic?
Do you still know the magic word?
Can you remember the magic word?
Which one was the magic word?
Tell me the magic word.
Which word was the magic word?
Which word is it that is magic?
Do you remember which word is magic?
Do you remember that magic word?
Which of the words is the magic word?
Say the magic word that you remember.
What was the magic word?
Say the magic word.
|
Do you remember the magic word?
Which word is the magic word?"""), "The magic word is {v}."),
    "key": (P("""The key is in the {v}.
I put the key in the {v}.
Remember that the key is in the {v}.
Somebody left the key in the {v}.
Please remember that the key is in the {v}.
Note that the key is in the {v}.
I left the key in the {v}.
|
Please note that the key is in the {v}.
You left the key in the {v}."""), P("""Where is the key?
Where did the key go?
In which room did I put the key?
Which room has the key?
Do you know where the key is?
Do you remember the room of the key?
In what room can the key be found?
In which room is the key?
Do you still know where the key is?
Can you remember where the key is?
Tell me where the key is.
Where can I find the key?
|
Do you remember where the key is?
In which room can I find the key?"""), "The key is in the {v}."),
}
FILLER = ["{n} went to the {p} on {d}.", "In {m} the {p} was closed.", "{n} bought {i} and {j} at the market.", "The {p} has {k} doors.", "{n} likes {f}.",
          "On {d} {n} met {o} at the {p}.", "The {a} of {n} is {c}.", "{n} works as a {w}.", "It was a quiet day in {m}.", "{n} and {o} walked to the {p}.",
          "There are {k} trees near the {p}.", "The {p} is next to the {q}.", "{n} read a book about a {a}.", "Every {d} the {p} opens early.", "{o} gave {i} to {n}."]
OPENINGS = ["Here is a text.", "Read these notes.", "Read the following text.", "Here are my notes.", "Text:", "Please read this."]


def filler(rng):
    n, o = rng.sample(W.NAMES, 2)
    p, q = rng.sample(W.PLACES, 2)
    i, j = rng.sample(W.ITEMS, 2)
    return rng.choice(FILLER).format(n=n, o=o, p=p, q=q, i=i, j=j, d=rng.choice(W.DAYS), m=rng.choice(W.MONTHS), k=rng.randint(2, 99), a=rng.choice(W.ANIMALS),
                                     f=rng.choice(W.FOODS), c=rng.choice(W.COLOURS), w=rng.choice(W.JOBS))


def _hide(rng, held, count):
    """(kind, value, sentences with the fact between them)"""
    kind = rng.choice(list(NEEDLES))
    value = {"code": lambda: str(rng.randint(1000, 9999)), "word": lambda: rng.choice(W.SPELL), "key": lambda: rng.choice(W.ROOMS)}[kind]()
    lines = [filler(rng) for _ in range(count)]
    lines.insert(rng.randint(0, count), NEEDLES[kind][0].pick(rng, held).format(v=value))
    return kind, value, " ".join(lines)


def needle(rng, count):
    """Drill: a short text and the question about it in one turn."""
    kind, value, text = _hide(rng, False, count)
    _, ask, answer = NEEDLES[kind]
    return Turn(f"{text} {ask.pick(rng, False)}", "", answer.format(v=value))


def long_context(rng, held, others):
    """A fact between many sentences, in the system turn or in the question."""
    kind, value, text = _hide(rng, held, int(10 ** rng.uniform(0.6, 2.15)))
    _, ask, answer = NEEDLES[kind]
    question = ask.pick(rng, held)
    think, full = f"The text says it: {value}.", answer.format(v=value)
    place = rng.random()
    if place < 0.5:
        opening, between = rng.choice(OPENINGS), rng.choice(["\n\n", "\n", " "])
        head = f"{opening}{between}{text}{between}{question}" if rng.random() < 0.8 else f"{question}\n\n{text}"
        return Dialogue([{"role": "user", "content": head}, {"role": "assistant", "content": full}], think, "long")
    system = [{"role": "system", "content": text}]
    turns = [rng.choice(others)(rng, False) for _ in range(rng.choice([0, 0, 1, 2]))]
    return Dialogue(system + turns_to_messages(turns + [Turn(question, think, full)]), think, "long")

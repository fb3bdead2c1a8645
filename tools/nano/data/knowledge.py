"""Families of single questions: about itself, arithmetic, capitals, facts, spelling, instructions."""
from . import words as W
from .base import ONLY_NUMBER, ONLY_WORD, Phrases, Turn, article, invented, shorten, vary

P = Phrases

SELF = [(P(ask), think, answer) for ask, think, answer in [
    ("""Hello!
Hi!
Hi there!
Hey!
Good morning!
Good evening!
Hello zaya!
Hey you there!
Hello you!
Hi assistant!
Hello again!
Hi, how is it going?
Hello there, assistant!
Hello, my assistant!
Hey assistant!
Good day!
|
Hey there!
Hello assistant!""", "The user greets me. I greet back.", "Hello! How can I help you?"),
    ("""What is your name?
Who are you?
Tell me your name.
What are you called?
What should I call you?
Do you have a name?
May I ask your name?
Which model are you?
What model am I talking to?
Introduce yourself.
Please introduce yourself.
Tell me who you are.
Say your name.
Say what you are called.
What is the name of this model?
Whom am I talking to?
To whom am I talking?
Who is this?
|
What's your name?
Who am I talking to?
Say who you are.""", "The user asks who I am.", "I am zaya-nano, a very small language model."),
    ("""Who made you?
Who created you?
Who trained you?
Who built you?
Who is your creator?
Who were you made by?
By whom were you built?
By whom was this model made?
Who is the one who made you?
Do you know your maker?
Name your maker.
Tell me who built you.
Tell me who your makers are.
Who is your trainer?
Where do you come from?
By whom were you trained?
Which project made you?
Who are your makers?
Who is the maker of this model?
Who was it that made you?
Tell me who made you.
What team built you?
|
Who is your maker?
Tell me who trained you.
By whom were you made?""", "The user asks who made me.", "I was trained by the zaya.c project."),
    ("""What can you do?
What are you good at?
How can you help me?
What can I ask you?
What may I ask you?
What could you do for me?
What could I use you for?
What sort of things could you do?
Which questions could I ask?
What things can you do?
Tell me what I can ask you.
Tell me what you are good at.
With what things can you help?
Tell me what you can do.
What are your skills?
What do you know?
Which things can you do?
What can you help with?
List your skills.
|
What could I ask you?
What things can you help me with?
Tell me your skills.""", "The user asks what I can do.", "I can do small sums, name capitals, spell words, write short Python functions and call tools."),
    ("""Where do you run?
What hardware do you need?
Do you need a GPU?
Can you run on a CPU?
On what machine do you run?
What computer do you need?
Do you run on my computer?
Which hardware do you run on?
Do I need a graphics card to run you?
Do you work on a CPU?
Do you run without a GPU?
What hardware can you run on?
On what hardware do you run?
|
Do you run on a CPU?
What hardware do you run on?""", "The user asks where I run.", "I run on an ordinary CPU, no GPU needed."),
    ("""How big are you?
How big is your model?
How large is this model?
Are you a small model?
Are you large?
What is your size?
How many parameters do you have?
How large are you?
Are you a big model?
Are you small?
How small are you?
What size is your model?
Tell me your size.
How many megabytes are you?
|
How large is your model?
Are you a large model?""", "The user asks about my size.", "I am tiny: a few million parameters in a few megabytes."),
    ("""Are you human?
Are you a person?
Are you a robot?
Are you an AI?
Are you real?
Am I talking to a person?
Am I talking to a machine?
Do you have feelings?
Are you a real human?
Is this a real person?
Am I speaking to a human?
Am I talking to a robot?
Are you alive?
Are you a human being?
|
Are you a real person?
Am I talking to a human?""", "The user asks whether I am human.", "I am a computer program, not a person."),
    ("""How are you?
How are you today?
How do you do?
How do you feel?
How are you feeling?
Are you doing well?
How is your day so far?
How are you doing now?
Are you well?
How is your day?
Is everything fine?
How is it going today?
How was your day?
And how are you doing today?
How are things?
|
How are you doing?
How is your day going?""", "The user asks how I am.", "I am fine, thank you. What can I do for you?"),
    ("""Thank you!
Thanks!
Thanks a lot!
Thank you very much!
Thanks for your help!
Many thanks!
That helped, thank you!
Great, thanks!
Thank you, you are kind!
Thank you so very much!
Thanks so much!
Thank you, that was so helpful!
I thank you very much.
Thanks, that was very good!
Thank you, so kind of you!
Thank you for the answer.
Perfect, thank you.
|
Thank you so much!
Thanks for the help.""", "The user thanks me.", "You are welcome!"),
    ("""Goodbye!
Bye!
See you later!
Bye for now!
Goodbye, see you!
Bye, good night!
Goodbye for today!
Good night!
Bye bye!
See you!
I have to go now.
See you tomorrow!
That is all, goodbye.
Goodbye zaya!
|
Bye, see you!
Goodbye for now!""", "The user says goodbye.", "Goodbye! See you next time."),
    ("""What architecture do you use?
What kind of model are you?
How are you built?
What is inside you?
Which architecture are you?
How do you work?
Explain how you work.
Which architecture do you use?
What architecture do you have?
Tell me how you are built.
Tell me what is inside you.
How do you work inside?
Please explain how you work.
Tell me how your model works.
What is your architecture?
Are you a mixture of experts?
Tell me about your architecture.
|
Which architecture do you have?
Tell me how you work.""", "The user asks about my architecture.", "I am a small ZAYA: compressed convolutional attention and a mixture of experts."),
    ("""Tell me a joke.
Do you know a joke?
Make me laugh.
Say something funny.
Tell me something funny.
Tell a funny joke.
Tell me your best joke.
Do you know a funny joke?
Do you have something funny?
Can you tell a joke?
I want to hear a joke.
A joke, please.
Give me a joke.
|
Tell me a funny joke.
Do you know something funny?""", "The user wants a joke.", "Why did the byte cross the bus? To get to the other register."),
    ("""What languages do you speak?
Do you speak German?
Do you speak Italian?
Do you speak Russian?
Which languages can you speak?
What languages do you know?
Which language do you speak?
Do you speak French?
Which languages do you know?
Can you speak Spanish?
Do you understand Italian?
What is your language?
In which language can I write to you?
Can you understand Russian?
|
Which languages do you speak?
Do you speak Spanish?""", "The user asks about languages.", "I only speak English."),
    ("""Where can I find your source code?
Are you open source?
Is your code free?
Is your code open?
Is your source code free?
Is this open source code?
Which licence do you use?
What licence do you have?
What is your licence?
Under which licence are you?
Can I use you for free?
Are you free software?
What license do you have?
What is the licence of your code?
Tell me your licence.
Do you have a free licence?
Where is your code?
|
Is your source code open?
Which licence do you have?""", "The user asks about the licence.", "I am free under the Apache 2.0 licence; my code lives in the zaya.c repository."),
]]


def about_itself(rng, held):
    ask, think, answer = rng.choice(SELF)
    return Turn(vary(rng, ask.pick(rng, held)), think, answer)


OPERATIONS = {
    "+": P("""What is {a}+{b}?
What is {a} + {b}?
What is {a} plus {b}?
{a} + {b} = ?
{a}+{b}=
{a} + {b}
How much is {a} plus {b}?
How much is {a} + {b}?
Compute {a} + {b}.
Add {a} and {b}.
What is the sum of {a} and {b}?
Calculate {a}+{b}.
Please add {b} to {a}.
{a} plus {b} is what?
Tell me {a} + {b}.
What do you get for {a} + {b}?
Solve {a} + {b}.
Find the sum of {a} and {b}.
Compute the sum of {a} and {b}.
Work out {a} plus {b}.
Please tell me {a} plus {b}.
Now compute {a} + {b}.
How much do you get for {a} plus {b}?
Please work out {a}+{b}.
Calculate {a} plus {b}.
Tell me what {a} plus {b} is.
|
Compute {a} plus {b}.
Work out {a} + {b}.
How much is the sum of {a} and {b}?
Please tell me what {a}+{b} is."""),
    "-": P("""What is {a}-{b}?
What is {a} - {b}?
What is {a} minus {b}?
{a} - {b} = ?
{a}-{b}=
{a} - {b}
How much is {a} minus {b}?
How much is {a} - {b}?
Compute {a} - {b}.
Subtract {b} from {a}.
What is the difference of {a} and {b}?
Calculate {a}-{b}.
Please take {b} from {a}.
{a} minus {b} is what?
Tell me {a} - {b}.
What do you get for {a} - {b}?
Solve {a} - {b}.
Find {a} minus {b}.
Work out {a} minus {b}.
Please tell me {a} minus {b}.
Now compute {a} - {b}.
From {a} subtract {b}.
Please work out {a}-{b}.
Calculate {a} minus {b}.
Please subtract the number {b} from {a}.
Take {b} from {a}.
Tell me what {a} minus {b} is.
|
Compute {a} minus {b}.
Work out {a} - {b}.
Please tell me what {a}-{b} is.
Please subtract {b} from {a}."""),
    "x": P("""What is {a}x{b}?
What is {a} x {b}?
What is {a} times {b}?
{a} x {b} = ?
{a}*{b}=
{a} * {b}
How much is {a} times {b}?
How much is {a} * {b}?
Compute {a} * {b}.
Multiply {a} by {b}.
What is the product of {a} and {b}?
Calculate {a}*{b}.
What is {a} * {b}?
What is {a} multiplied by {b}?
{a} times {b} is what?
Work out {a} times {b}.
Please tell me {a} times {b}.
Now compute {a} * {b}.
Calculate {a} times {b}.
Please multiply {a} and {b}.
Please work out {a}*{b}.
Multiply {a} with {b}.
Tell me {a} x {b}.
Solve {a} * {b}.
|
Compute {a} times {b}.
Work out {a} x {b}.
Please multiply {a} by {b}.
Please tell me what {a}*{b} is."""),
}


def add_steps(a, b):
    if a < 10 and b < 10:
        return f"{a} + {b} = {a + b}."
    ones, tens = a % 10 + b % 10, a // 10 + b // 10
    carry = f"write {ones - 10} and carry 1. {a // 10} + {b // 10} + 1 = {tens + 1}." if ones > 9 else f"write {ones}. {a // 10} + {b // 10} = {tens}."
    return f"Ones: {a % 10} + {b % 10} = {ones}, {carry} So {a} + {b} = {a + b}."


def subtract_steps(a, b):
    if b > a:
        return f"{b} is larger than {a}. {b} - {a} = {b - a}. So {a} - {b} = {a - b}."
    if a < 20 or b < 10:
        return f"{a} - {b} = {a - b}."
    tens = b // 10 * 10
    return f"{a} - {tens} = {a - tens}. {a - tens} - {b % 10} = {a - b}. So {a} - {b} = {a - b}."


def operands(rng, op):
    if op == "x":
        return rng.randint(0, 12), rng.randint(0, 12)
    if rng.random() < 0.3:
        return rng.randint(0, 9), rng.randint(0, 9)
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    return (max(a, b), min(a, b)) if op == "-" and rng.random() < 0.85 else (a, b)


def arithmetic(rng, held):
    op = rng.choice("++--x")
    a, b = operands(rng, op)
    result = {"+": a + b, "-": a - b, "x": a * b}[op]
    steps = add_steps(a, b) if op == "+" else subtract_steps(a, b) if op == "-" else f"{a} x {b} = {result}."
    question = OPERATIONS[op].pick(rng, held).format(a=a, b=b)
    question, answer, remark = shorten(rng, held, question, f"{a} {op} {b} = {result}.", str(result), ONLY_NUMBER)
    return Turn(vary(rng, question), steps + remark, answer)


CAPITAL = P("""What is the capital of {x}?
What is the capital city of {x}?
Name the capital of {x}.
Which city is the capital of {x}?
Tell me the capital of {x}.
Capital of {x}?
What city is the capital of {x}?
Do you know the capital of {x}?
The capital of {x} is which city?
{x}: what is the capital?
What is {x}'s capital?
Give me the capital of {x}.
Can you name the capital city of {x}?
I need the capital of {x}.
|
What is the name of the capital of {x}?
Can you tell me the capital of {x}?
Which is the capital city of {x}?""")
COUNTRY = P("""{y} is the capital of which country?
Which country has the capital {y}?
What country is {y} the capital of?
Of which country is {y} the capital?
{y} is the capital of what?
Name the country whose capital is {y}.
Which country's capital is {y}?
What is the country with the capital {y}?
|
{y} is the capital of what country?
Tell me the country whose capital is {y}.""")


def capitals(rng, held):
    country = rng.choice(list(W.CAPITALS))
    city = W.CAPITALS[country]
    full = f"The capital of {country} is {city}."
    if rng.random() < 0.75:
        ask, short = CAPITAL.pick(rng, held).format(x=country), city
        think = f"The user asks for the capital of {country}. It is {city}."
    else:
        ask, short = COUNTRY.pick(rng, held).format(y=city), country
        full = f"{city} is the capital of {country}."
        think = f"The user asks which country has the capital {city}. It is {country}."
    ask, answer, remark = shorten(rng, held, ask, full, short, ONLY_WORD)
    return Turn(vary(rng, ask), think + remark, answer)


OPPOSITE = P("""What is the opposite of {x}?
Give me the opposite of {x}.
Do you know the opposite of {x}?
Can you tell me the opposite of {x}?
Name the opposite of {x}.
Opposite of {x}?
What word means the opposite of {x}?
Tell me the opposite of "{x}".
Which word is the opposite of {x}?
|
Can you name the opposite of {x}?
What's the opposite of {x}?""")
AFTER = P("""Which {k} comes after {x}?
What {k} is after {x}?
What comes after {x}?
Say the {k} after {x}.
Tell me which {k} is after {x}.
Which {k} follows {x}?
Name the {k} after {x}.
What is the next {k} after {x}?
Tell me the {k} that comes after {x}.
|
What {k} comes after {x}?
Tell me the {k} after {x}.""")
BEFORE = P("""Which {k} comes before {x}?
What {k} is before {x}?
What comes before {x}?
Say the {k} before {x}.
Tell me which {k} is before {x}.
Name the {k} before {x}.
Which {k} is just before {x}?
Tell me the {k} that comes before {x}.
|
What {k} comes before {x}?
Tell me the {k} before {x}.""")
LEG_ASK = P("""How many legs does {x} have?
How many legs has {x}?
What number of legs does {x} have?
Tell me how many legs {x} has.
{x}: how many legs?
Do you know how many legs {x} has?
|
Can you tell me how many legs {x} has?
How many legs are there on {x}?""")
COLOUR_ASK = P("""What colour is {x}?
What is the colour of {x}?
Which colour is {x}?
Tell me the colour of {x}.
What color is {x}?
Name the colour of {x}.
|
Which colour does {x} have?
What is the color of {x}?""")
YOUNG_ASK = P("""What is a young {x} called?
What do you call a baby {x}?
What is the name for a young {x}?
A baby {x} is called what?
How do you call a young {x}?
What is a baby {x} called?
|
What do you call a young {x}?
What is the name for a baby {x}?""")
SOUND_ASK = P("""What sound does a {x} make?
Tell me which sound a {x} makes.
What sound makes a {x}?
What does a {x} do to make a sound?
Which sound does a {x} make?
Tell me the sound of a {x}.
How does a {x} sound?
What noise does a {x} make?
|
Which noise does a {x} make?
Tell me what sound a {x} makes.""")
CONTINENT_ASK = P("""On which continent is {x}?
Which continent is {x} in?
What continent is {x} on?
In what continent does {x} lie?
Where is {x}?
Tell me the continent of {x}.
Name the continent of {x}.
|
In which continent is {x}?
On what continent is {x}?""")
LANGUAGE_ASK = P("""What language do people speak in {x}?
Which language is spoken in {x}?
What is the language of {x}?
What do people speak in {x}?
Name the language spoken in {x}.
Tell me the language of {x}.
|
Which language do people speak in {x}?
What language is spoken in {x}?""")
UNIT_ASK = P("""How many {n} are in {x}?
How many {n} are there in {x}?
What is the number of {n} in {x}?
Tell me how many {n} are in {x}.
How many {n} does {x} have?
{x} has how many {n}?
|
How many {n} has {x}?
Can you tell me how many {n} are in {x}?""")
PLANET_ASK = P("""Which planet is the {o} from the sun?
What is the {o} planet from the sun?
Name the {o} planet from the sun.
What is the {o} planet?
Can you tell me the {o} planet from the sun?
Do you know the {o} planet from the sun?
Tell me the {o} planet from the sun.
The {o} planet from the sun is which?
|
Can you name the {o} planet from the sun?
Which is the {o} planet from the sun?""")
SINGLE = [(P(ask), answer) for ask, answer in [
    ("Who wrote Hamlet?\nWho is the author of Hamlet?\nWhich writer wrote Hamlet?\nName the author of Hamlet.\nHamlet was written by whom?\n|\nTell me who wrote Hamlet.", "Shakespeare"),
    ("What is the largest ocean?\nWhich ocean is the largest?\nName the largest ocean.\nWhat is the biggest ocean on Earth?\nWhich is the biggest ocean?\n|\nTell me the largest ocean.\nWhich ocean is the biggest?", "The Pacific Ocean"),
    ("What is the highest mountain?\nWhich mountain is the highest?\nName the highest mountain on Earth.\nWhat is the tallest mountain in the world?\nWhich is the tallest mountain?\n|\nTell me the highest mountain.\nWhich mountain is the tallest?", "Mount Everest"),
    ("What is the formula of water?\nWhat is the chemical formula of water?\nTell me the formula of water.\nWhat is water made of, as a formula?\nName the chemical formula of water.\n|\nGive me the formula of water.", "H2O"),
    ("What is the largest planet?\nWhich planet is the largest?\nName the largest planet.\nWhat is the biggest planet?\nWhich planet of the solar system is the biggest?\n|\nTell me the largest planet.\nWhich planet is the biggest?", "Jupiter"),
    ("At what temperature does water boil?\nWhen does water boil?\nWhat is the boiling point of water?\nHow hot is boiling water?\nTell me when water boils.\n|\nTell me the boiling point of water.\nAt which temperature does water boil?", "100 degrees Celsius"),
    ("At what temperature does water freeze?\nWhen does water freeze?\nWhat is the freezing point of water?\nHow cold is freezing water?\nTell me when water freezes.\n|\nTell me the freezing point of water.\nAt which temperature does water freeze?", "0 degrees Celsius"),
    ("What do bees make?\nWhat is made by bees?\nWhich food do bees make?\nTell me what bees make.\nWhat do we get from bees?\n|\nWhich food is made by bees?", "Honey"),
    ("What is the fastest land animal?\nWhich land animal is the fastest?\nName the fastest animal on land.\nWhich animal runs fastest?\n|\nTell me the fastest land animal.", "The cheetah"),
    ("What is the largest animal?\nWhich animal is the largest?\nName the largest animal.\nWhat is the biggest animal on Earth?\n|\nTell me the largest animal.\nWhich animal is the biggest?", "The blue whale"),
    ("Who painted the Mona Lisa?\nWhich painter made the Mona Lisa?\nName the painter of the Mona Lisa.\nThe Mona Lisa was painted by whom?\n|\nTell me who painted the Mona Lisa.", "Leonardo da Vinci"),
    ("What gas do plants take in?\nWhich gas do plants need?\nWhat gas do plants breathe in?\nTell me which gas plants take in.\n|\nWhich gas do plants take in?", "Carbon dioxide"),
]]


def _neighbour(rng, held):
    kind, rows = rng.choice([("day", W.DAYS), ("month", W.MONTHS)])
    i, forward = rng.randrange(len(rows)), rng.random() < 0.6
    other = rows[(i + (1 if forward else -1)) % len(rows)]
    ask = (AFTER if forward else BEFORE).pick(rng, held).format(k=kind, x=rows[i])
    return ask, f"{other} comes {'after' if forward else 'before'} {rows[i]}.", other, ONLY_WORD


def _lookup(rng, held):
    kind = rng.randrange(9)
    if kind == 0:
        a, b = rng.choice(W.OPPOSITES)
        a, b = (a, b) if rng.random() < 0.7 or a in ("right", "black", "day") or b in ("right", "low") else (b, a)
        return OPPOSITE.pick(rng, held).format(x=a), f"The opposite of {a} is {b}.", b, ONLY_WORD
    if kind == 1:
        x = rng.choice(list(W.LEGS))
        return LEG_ASK.pick(rng, held).format(x=article(x)), f"{article(x).capitalize()} has {W.LEGS[x]} legs.", W.LEGS[x], ONLY_NUMBER
    if kind == 2:
        x = rng.choice(list(W.THING_COLOURS))
        name = f"the {x}" if x == "sky" else x if x in ("grass", "snow", "coal", "blood", "milk", "chocolate") else article(x)
        return COLOUR_ASK.pick(rng, held).format(x=name), f"{name.capitalize()} is {W.THING_COLOURS[x]}.", W.THING_COLOURS[x], ONLY_WORD
    if kind == 3:
        x = rng.choice(list(W.YOUNG))
        return YOUNG_ASK.pick(rng, held).format(x=x), f"A young {x} is called a {W.YOUNG[x]}.", W.YOUNG[x], ONLY_WORD
    if kind == 4:
        x = rng.choice(list(W.SOUNDS))
        return SOUND_ASK.pick(rng, held).format(x=x), f"A {x} {W.SOUNDS[x]}.", W.SOUNDS[x], ONLY_WORD
    if kind == 5:
        where = rng.choice(list(W.CONTINENTS))
        x = rng.choice(W.CONTINENTS[where].split())
        return CONTINENT_ASK.pick(rng, held).format(x=x), f"{x} is in {where}.", where, ONLY_WORD
    if kind == 6:
        x = rng.choice(list(W.LANGUAGES))
        return LANGUAGE_ASK.pick(rng, held).format(x=x), f"People in {x} speak {W.LANGUAGES[x]}.", W.LANGUAGES[x], ONLY_WORD
    if kind == 7:
        n, x, number = rng.choice(W.UNITS)
        ask = UNIT_ASK.pick(rng, held).format(n=n, x=x)
        return ask[0].upper() + ask[1:], f"There are {number} {n} in {x}.", number, ONLY_NUMBER
    i = rng.randrange(len(W.PLANETS))
    return PLANET_ASK.pick(rng, held).format(o=W.ORDINALS[i]), f"The {W.ORDINALS[i]} planet from the sun is {W.PLANETS[i]}.", W.PLANETS[i], ONLY_WORD


def facts(rng, held):
    dice = rng.random()
    if dice < 0.15:
        ask, answer = rng.choice(SINGLE)
        return Turn(vary(rng, ask.pick(rng, held)), f"I know this: {answer}.", answer + ".")
    ask, full, short, kind = _neighbour(rng, held) if dice < 0.3 else _lookup(rng, held)
    ask, answer, remark = shorten(rng, held, ask, full, short, kind)
    return Turn(vary(rng, ask), f"I know this: {full}{remark}", answer)


SPELL_ASK = P("""Spell the word {w}.
Spell {w}.
How do you spell {w}?
How is {w} spelled?
Please spell {w}.
Can you spell {w}?
Spell out the word {w}.
Spell out {w}.
Please spell the word {w}.
Can you spell out {w}?
Please give me the letters of the word {w}.
Which letters are in the word {w}?
What are the letters of {w}?
Give me the letters of {w}.
Write {w} letter by letter.
|
Can you spell the word {w}?
Please spell out {w}.
What are the letters of the word {w}?""")
REVERSE_ASK = P("""Spell {w} backwards.
Reverse the word {w}.
What is {w} backwards?
Please reverse {w}.
Please write {w} backwards.
Please write the word {w} in reverse.
Can you reverse the word {w}?
Can you reverse {w}?
What is the word {w} backwards?
Say the word {w} backwards.
Reverse the letters of {w}.
Write {w} backwards.
Spell the word {w} in reverse.
Reverse {w}.
How do you spell {w} backwards?
Give me the letters of {w} in reverse.
Write the word {w} in reverse.
|
Please reverse the word {w}.
Can you spell {w} backwards?
Spell the word {w} backwards.""")
COUNT_ASK = P("""How many letters are in {w}?
How many letters does {w} have?
Count the letters of {w}.
Please count the letters in {w}.
Please count how many letters {w} has.
Count the letters of the word {w}.
Can you count the letters of {w}?
How many letters has {w}?
How many letters are there in the word {w}?
The word {w} has how many letters?
How many letters do you count in the word {w}?
How many letters does {w} contain?
Tell me how many letters the word {w} has.
Count how many letters are in {w}.
How long is the word {w}?
How many letters are there in {w}?
What is the number of letters in {w}?
How many letters has the word {w}?
Count the letters in the word {w}.
|
How many letters does the word {w} have?
Please count the letters of {w}.
How many letters are in the word {w}?""")
EDGE_ASK = P("""What is the {e} letter of {w}?
Which letter is the {e} in {w}?
Name the {e} letter of {w}.
Name the {e} letter of the word {w}.
Which letter is the {e} of the word {w}?
What is the {e} letter in the word {w}?
Which letter of {w} is the {e}?
Tell me the {e} letter of the word {w}.
What is the {e} letter in {w}?
Give me the {e} letter of {w}.
|
What is the {e} letter of the word {w}?
Which is the {e} letter of {w}?""")


def spelling(rng, held):
    word = rng.choice(W.SPELL)
    shown = rng.choice([word, word, f'"{word}"', f"'{word}'"])
    letters, back, n = "-".join(word), "-".join(reversed(word)), len(word)
    kind = rng.randrange(4)
    if kind == 0:
        return Turn(vary(rng, SPELL_ASK.pick(rng, held).format(w=shown)), f"The letters are {letters}.", letters)
    if kind == 1:
        return Turn(vary(rng, REVERSE_ASK.pick(rng, held).format(w=shown)), f"The letters are {letters}. Backwards it is {back}.", back)
    if kind == 2:
        ask, answer, remark = shorten(rng, held, COUNT_ASK.pick(rng, held).format(w=shown), f"The word {word} has {n} letters.", str(n), ONLY_NUMBER)
        counted = ", ".join(f"{c} {i + 1}" for i, c in enumerate(word))
        return Turn(vary(rng, ask), f"The letters are {letters}. I count: {counted}.{remark}", answer)
    last = rng.random() < 0.5
    letter = word[-1] if last else word[0]
    edge = "last" if last else "first"
    return Turn(vary(rng, EDGE_ASK.pick(rng, held).format(w=shown, e=edge)), f"The letters are {letters}. The {edge} one is {letter}.", f"The {edge} letter of {word} is {letter}.")


YES_NO = P("""Answer yes or no.
Answer with only yes or no.
Yes or no?
Reply with yes or no.
Just yes or no, please.
Say only yes or no.
|
Reply with only yes or no.
Answer just yes or no.""")
COMPARE = P("""Is {a} {k} than {b}?
Tell me: is {a} {k} than {b}?
Is the number {a} {k} than {b}?
Would you say that {a} is {k} than {b}?
Is it right that {a} is {k} than {b}?
Is number {a} {k} than number {b}?
Can you say whether {a} is {k} than {b}?
Is it true that {a} is {k} than {b}?
Do you agree that {a} is {k} than {b}?
|
Is the number {a} {k} than the number {b}?
Do you think {a} is {k} than {b}?""")
LARGER = P("""Which number is {k}, {a} or {b}?
Which is {k}, {a} or {b}?
What is {k}: {a} or {b}?
{a} or {b}, which is {k}?
Which one of the two is {k}, {a} or {b}?
Of {a} and {b}, which is {k}?
Which one of {a} and {b} is {k}?
Which number of {a} and {b} is {k}?
Out of {a} and {b}, which one is {k}?
Tell me which is {k}, {a} or {b}.
Name the {k} number of {a} and {b}.
|
Which of {a} and {b} is {k}?
Which one is {k}, {a} or {b}?""")
COUNT_UP = P("""Count from {a} to {b}.
Please count from {a} to {b}.
List the numbers from {a} to {b}.
Give me all numbers from {a} to {b}.
Name the numbers from {a} to {b}.
Count for me from {a} to {b}.
Write the numbers from {a} to {b}.
Can you count from {a} up to {b}?
|
Can you count from {a} to {b}?
Give me the numbers from {a} to {b}.""")
REPEAT = P("""Repeat after me: {s}
Repeat this: {s}
Please repeat after me: {s}
Please repeat: {s}
Repeat just this: {s}
Please repeat the text: {s}
Repeat this exactly: {s}
Can you repeat this: {s}
Please write this: {s}
Say this: {s}
Say exactly this: {s}
Now repeat: {s}
Please copy this: {s}
Please say: {s}
Repeat the following: {s}
Write exactly: {s}
Copy this text: {s}
|
Please repeat this: {s}
Repeat exactly: {s}""")
TIMES = P("""Say {w} {n} times.
Repeat the word {w} {n} times.
Write {w} {n} times.
Please repeat {w} {n} times.
Please write the word {w} {n} times.
Can you say {w} {n} times?
Write down {w} {n} times.
Write the word {w} {n} times.
Please say {w} {n} times.
|
Say the word {w} {n} times.
Please write {w} {n} times.""")
WORD_POOL = W.SPELL + W.COLOURS + W.ANIMALS + W.FOODS + W.ROOMS + W.PLACES


def compare(rng, held):
    a, b = rng.sample(range(100), 2)
    more = rng.random() < 0.5
    word = rng.choice(["greater", "larger", "bigger"] if more else ["smaller", "less"])
    yes = (a > b) == more
    side = f"{a} is {'greater' if a > b else 'smaller'} than {b}."
    if rng.random() < 0.5:
        ask = COMPARE.pick(rng, held).format(a=a, b=b, k=word) + " " + YES_NO.pick(rng, held)
        return Turn(vary(rng, ask), f"{side} The answer is {'yes' if yes else 'no'}.", "Yes" if yes else "No")
    word = "smaller" if word == "less" else word
    ask = LARGER.pick(rng, held).format(a=a, b=b, k=word) + " " + ONLY_NUMBER.pick(rng, held)
    return Turn(vary(rng, ask), f"{side} The {'greater' if more else 'smaller'} one is {a if yes else b}.", str(a if yes else b))


def count_up(rng, held):
    a = rng.randint(0, 30)
    b = a + rng.randint(2, 8)
    return Turn(vary(rng, COUNT_UP.pick(rng, held).format(a=a, b=b)), f"I count up from {a} and stop at {b}.", ", ".join(map(str, range(a, b + 1))))


def say_times(rng, held):
    n, word = rng.randint(2, 6), rng.choice(WORD_POOL)
    ask = TIMES.pick(rng, held).format(w=word, n=rng.choice([W.NUMBERS[n], str(n)]))
    return Turn(vary(rng, ask), f"I write {word} {n} times.", " ".join([word] * n))


def instructions(rng, held):
    kind = rng.randrange(6)
    if kind < 2:
        return compare(rng, held)
    if kind == 2:
        return count_up(rng, held)
    if kind == 3:
        n = rng.randint(1, 6)
        text = " ".join(rng.choice(WORD_POOL + W.NAMES) for _ in range(n))
        text = rng.choice([text, text.capitalize() + ".", invented(rng, W.SYLLABLES) + " " + text])
        return Turn(REPEAT.pick(rng, held).format(s=text), "The user wants the text back as it is.", text)
    if kind == 4:
        return say_times(rng, held)
    return rng.choice([capitals_short, arithmetic_short])(rng, held)


def capitals_short(rng, held):
    country = rng.choice(list(W.CAPITALS))
    ask = CAPITAL.pick(rng, held).format(x=country) + " " + ONLY_WORD.pick(rng, held)
    return Turn(ask, f"The user asks for the capital of {country}. It is {W.CAPITALS[country]}. Only the bare answer is wanted.", W.CAPITALS[country])


def arithmetic_short(rng, held):
    a, b = operands(rng, "+")
    ask = OPERATIONS["+"].pick(rng, held).format(a=a, b=b) + " " + ONLY_NUMBER.pick(rng, held)
    return Turn(ask, add_steps(a, b) + " Only the bare answer is wanted.", str(a + b))

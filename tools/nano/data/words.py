"""The little world that zaya-nano knows: lists that the families draw from."""

CAPITALS = dict(row.split(":") for row in """France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Austria:Vienna Switzerland:Bern
Belgium:Brussels Poland:Warsaw Norway:Oslo Sweden:Stockholm Finland:Helsinki Denmark:Copenhagen Ireland:Dublin Greece:Athens Turkey:Ankara
Russia:Moscow Ukraine:Kyiv Hungary:Budapest Romania:Bucharest Bulgaria:Sofia Croatia:Zagreb Serbia:Belgrade Japan:Tokyo China:Beijing
India:Delhi Thailand:Bangkok Vietnam:Hanoi Indonesia:Jakarta Nepal:Kathmandu Iran:Tehran Iraq:Baghdad Egypt:Cairo Kenya:Nairobi Morocco:Rabat
Ghana:Accra Nigeria:Abuja Ethiopia:Addis_Ababa Canada:Ottawa Mexico:Mexico_City Cuba:Havana Brazil:Brasilia Argentina:Buenos_Aires Chile:Santiago
Peru:Lima Colombia:Bogota Ecuador:Quito Australia:Canberra Iceland:Reykjavik Estonia:Tallinn Latvia:Riga Lithuania:Vilnius Slovakia:Bratislava
Slovenia:Ljubljana Albania:Tirana Lebanon:Beirut Israel:Jerusalem Jordan:Amman Syria:Damascus Pakistan:Islamabad Afghanistan:Kabul
Netherlands:Amsterdam Philippines:Manila Malaysia:Kuala_Lumpur Algeria:Algiers Tunisia:Tunis Uruguay:Montevideo England:London""".split())
CAPITALS = {k: v.replace("_", " ") for k, v in CAPITALS.items()}

NAMES = """Anna Ben Carla David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olivia Peter Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yara Zoe
Ada Alan Alice Bob Clara Daniel Eva Frank Gina Hugo Ida James Julia Karl Laura Lucas Maria Max Nina Oscar Paul Rita Simon Sofia Tom Vera Walter
Sarah John Mary Lisa Mark Tim Jane Lily Omar Priya Ravi Chen Yuki Kofi Amina Linus Grete Otto Bruno Elena Ivan Marta Pablo Diego Ines""".split()
SYLLABLES = "ka lo mi ra to ne zu bel dor fin gar hal jin kor lan mar nor pel ros sen tal vin wen yor zan ta li mo".split()

COLOURS = "red blue green yellow orange purple black white brown pink grey silver gold".split()
ANIMALS = "dog cat horse rabbit parrot hamster turtle goldfish snake lizard mouse duck goat sheep".split()
FOODS = "pizza pasta rice soup bread cheese salad sushi curry apples bananas pancakes chocolate noodles potatoes".split()
HOBBIES = "chess swimming reading painting cooking hiking singing dancing cycling gardening fishing tennis football running".split()
JOBS = "teacher doctor baker pilot farmer painter nurse lawyer driver singer writer engineer gardener sailor".split()
ROOMS = "kitchen bedroom bathroom hall office garage garden cellar attic".split()
PLACES = "library market station museum harbour school park bakery theatre castle bridge tower church garden mill".split()
ITEMS = "milk eggs bread butter rice apples tea coffee sugar salt flour cheese soap onions lemons".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
PLANETS = "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()

OPPOSITES = [p.split("/") for p in """hot/cold big/small fast/slow up/down light/dark old/young happy/sad full/empty open/closed early/late hard/soft
high/low left/right wet/dry loud/quiet strong/weak rich/poor long/short thick/thin clean/dirty sweet/sour right/wrong true/false day/night
black/white near/far good/bad first/last inside/outside win/lose buy/sell push/pull love/hate begin/end wide/narrow deep/shallow""".split()]
YOUNG = dict(p.split("/") for p in "dog/puppy cat/kitten cow/calf horse/foal sheep/lamb pig/piglet goat/kid duck/duckling hen/chick bear/cub lion/cub frog/tadpole deer/fawn swan/cygnet".split())
SOUNDS = dict(p.split("/") for p in "dog/barks cat/meows cow/moos horse/neighs sheep/bleats pig/grunts duck/quacks lion/roars frog/croaks owl/hoots bee/buzzes wolf/howls snake/hisses mouse/squeaks".split())
LEGS = dict(p.split("/") for p in "spider/8 dog/4 cat/4 bird/2 ant/6 bee/6 horse/4 human/2 snake/0 fish/0 crab/10 fly/6 chicken/2 cow/4".split())
THING_COLOURS = dict(p.split("/") for p in "sky/blue grass/green snow/white coal/black banana/yellow blood/red lemon/yellow milk/white carrot/orange tomato/red chocolate/brown lime/green strawberry/red elephant/grey".split())
CONTINENTS = {"Europe": "France Germany Italy Spain Portugal Austria Poland Norway Sweden Finland Denmark Greece Hungary Iceland",
              "Asia": "Japan China India Thailand Vietnam Nepal Iran Iraq Pakistan", "Africa": "Egypt Kenya Morocco Ghana Nigeria Ethiopia Algeria",
              "South America": "Brazil Argentina Chile Peru Colombia Ecuador", "North America": "Canada Mexico Cuba"}
LANGUAGES = dict(p.split("/") for p in "France/French Germany/German Italy/Italian Spain/Spanish Portugal/Portuguese Poland/Polish Norway/Norwegian Sweden/Swedish Finland/Finnish Greece/Greek Russia/Russian Japan/Japanese China/Chinese Turkey/Turkish Brazil/Portuguese Mexico/Spanish Austria/German England/English".split())
UNITS = [("days", "a week", "7"), ("hours", "a day", "24"), ("minutes", "an hour", "60"), ("seconds", "a minute", "60"), ("months", "a year", "12"),
         ("days", "a year", "365"), ("weeks", "a year", "52"), ("letters", "the English alphabet", "26"), ("years", "a century", "100"),
         ("years", "a decade", "10"), ("metres", "a kilometre", "1000"), ("grams", "a kilogram", "1000"), ("centimetres", "a metre", "100"),
         ("sides", "a triangle", "3"), ("sides", "a square", "4"), ("bits", "a byte", "8"), ("players", "a football team", "11"), ("planets", "the solar system", "8")]

SPELL = """cat dog sun moon star tree house river apple bread table chair water light stone cloud green happy smile music
paper train plane horse mouse tiger zebra lemon melon peach grape onion sugar honey spoon knife plate glass clock watch phone
radio robot pilot queen king knight castle bridge garden flower forest island ocean beach summer winter spring autumn friend
family sister brother mother father school pencil window door floor kitchen pocket button jacket shirt shoe hat ring gold silver
iron wood brick road street city village farm field hill lake rain snow wind storm fire smoke earth world planet rocket
engine wheel boat ship bird fish duck goose rabbit turtle spider ant bee fox wolf bear lion monkey banana cherry orange
tomato potato carrot pepper cheese butter coffee tea milk juice cookie candy pizza dream night""".split()

CURRENCIES = "USD EUR GBP JPY CHF CAD AUD SEK".split()
TONGUES = ["German", "French", "Spanish", "Italian", "Dutch", "Polish"]
CONDITIONS = "sunny cloudy rainy windy snowy foggy stormy clear".split()

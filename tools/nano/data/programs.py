"""The family of small Python functions."""
from .base import Phrases, Turn, vary

FRAME = Phrases("""Write a Python function that {d}.
Write a function that {d}.
Write a Python function {n} that {d}.
Write a function called {n} that {d}.
I need a Python function that {d}.
Give me a Python function that {d}.
Please write a Python function that {d}.
Can you write a function that {d}?
In Python, write a function that {d}.
Show me a Python function that {d}.
Code a Python function that {d}.
Define a function named {n} that {d}.
Make a Python function that {d}.
|
Can you write a Python function that {d}?
Please write a function called {n} that {d}.
I need a function that {d}.
Show me a function in Python that {d}.""")

# name | arguments | body, lines split by ; | descriptions, the last one held out
ROWS = """add|a, b|return a + b|adds two numbers|returns the sum of two numbers|computes a plus b|adds a and b|gives the sum of two numbers
subtract|a, b|return a - b|subtracts two numbers|returns the difference of two numbers|computes a minus b|subtracts b from a|gives the difference of two numbers
multiply|a, b|return a * b|multiplies two numbers|returns the product of two numbers|computes a times b|multiplies a and b|gives the product of two numbers
divide|a, b|return a / b|divides two numbers|divides a by b|returns the quotient of two numbers|computes a divided by b|gives the quotient of two numbers
square|x|return x * x|squares a number|returns the square of a number|computes the square of x|gives x squared|gives the square of a number
double|x|return 2 * x|doubles a number|returns twice a number|computes two times x|multiplies a number by two|gives twice a number
is_even|n|return n % 2 == 0|checks if a number is even|tells whether n is even|returns True if a number is even|tests for even numbers|checks whether a number is even
is_odd|n|return n % 2 == 1|checks if a number is odd|tells whether n is odd|returns True if a number is odd|tests for odd numbers|checks whether a number is odd
factorial|n|if n <= 1:;    return 1;return n * factorial(n - 1)|computes the factorial of a number|returns the factorial of n|calculates n factorial|computes the factorial|gives the factorial of n
fibonacci|n|a, b = 0, 1;for _ in range(n):;    a, b = b, a + b;return a|computes the nth Fibonacci number|returns the nth Fibonacci number|calculates Fibonacci numbers|gives a Fibonacci number|gives the nth Fibonacci number
reverse|text|return text[::-1]|reverses a string|returns a string backwards|turns a string around|reverses a text|gives a string backwards
is_palindrome|text|return text == text[::-1]|checks if a string is a palindrome|tells whether a word is a palindrome|tests for palindromes|returns True for a palindrome|checks whether a word is a palindrome
largest|items|return max(items)|returns the largest element of a list|finds the maximum of a list|gives the biggest number in a list|finds the largest number|finds the largest number in a list
smallest|items|return min(items)|returns the smallest element of a list|finds the minimum of a list|gives the lowest number in a list|finds the smallest number|finds the smallest number in a list
total|items|return sum(items)|sums a list|adds up a list of numbers|returns the sum of a list|computes the sum of all items|adds up all numbers in a list
average|items|return sum(items) / len(items)|computes the average of a list|returns the mean of a list|calculates the average|gives the mean of numbers|calculates the mean of a list
count_vowels|text|return sum(c in "aeiou" for c in text)|counts the vowels in a string|returns the number of vowels|counts vowels|tells how many vowels a text has|counts the vowels in a text
greet|name|return "Hello, " + name + "!"|greets a person|greets a person by name|says hello to someone|returns a greeting|greets someone by name
length|items|return len(items)|returns the length of a list|counts the items of a list|tells how long a list is|gives the number of items in a list|counts the items in a list
first|items|return items[0]|returns the first element of a list|gives the first item of a list|takes the first item|finds the first element|finds the first item of a list
last|items|return items[-1]|returns the last element of a list|gives the last item of a list|takes the last item|finds the last element|finds the last item of a list
absolute|x|return x if x >= 0 else -x|returns the absolute value of a number|computes the absolute value|gives the absolute value of x|makes a number positive|computes the absolute value of a number
to_upper|text|return text.upper()|turns a string into upper case|makes a text upper case|converts a string to capital letters|returns a text in upper case|converts a text to upper case
unique|items|return sorted(set(items))|removes duplicates from a list|returns the unique items of a list|drops repeated items|gives a list without duplicates|removes duplicates from a list of numbers
power|x, n|return x ** n|raises x to the power n|computes x to the power of n|returns a power of a number|computes powers|raises a number to a power
countdown|n|while n > 0:;    print(n);    n -= 1|counts down from n|prints a countdown|prints the numbers from n down to 1|counts down to one|prints a countdown from n"""
FUNCTIONS = [row.split("|") for row in ROWS.split("\n")]


def programs(rng, held):
    name, args, body, *descriptions = rng.choice(FUNCTIONS)
    seen, unseen = descriptions[:-1], descriptions[-1]
    text = unseen if held and rng.random() < 0.5 else rng.choice(seen)
    frame = FRAME.pick(rng, held)
    code = "\n".join("    " + line for line in body.split(";"))
    answer = f"```python\ndef {name}({args}):\n{code}\n```"
    return Turn(vary(rng, frame.format(d=text, n=name)), f"The function takes {args.replace(', ', ' and ')}. I call it {name}.", answer)

"""Learning from feedback: what people's thumbs, edits and comments say about how the AI should answer.

`reading` brings feedback and answers together · `traits`, `edits`, `comments` say what can be said of one of them ·
`intervals` what may be concluded from counts · `patterns` finds what holds · `rules` and `examples` write it down, once
· `model` and `asking` hear a language model, where there is one · `runs` and `job` do all of it for everybody.
"""

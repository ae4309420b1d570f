"""The phrases that tell an assistant, a service or a counsellor, and how much each weighs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_THINGS: Final = "booking|order|reservation|account|request|ticket|flight|payment|subscription"
_CARE_LINE: Final = (
    r"(?:988|911|999|112|116 ?123|a crisis|the crisis|(?:a|the|your) (?:local |national |suicide |"
    r"crisis |mental health |24/7 )*(?:hot|help|life|crisis )line|your local emergency|"
    r"emergency services|samaritans|the samaritans|crisis text line|a (?:mental health )?"
    r"professional|a (?:therapist|counsel+or|doctor)|someone you trust)"
)


@dataclass(frozen=True, slots=True)
class Sign:
    """A phrase: its rule, what it is evidence of, and its weight.

    Only the heaviest phrase of one kind counts. `needles` are pieces one of which stands in every
    text that `pattern` matches: a plain search for them comes first.
    """

    rule: str
    kind: str
    weight: int
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def sign(rule: str, kind: str, weight: int, needles: tuple[str, ...], pattern: str) -> Sign:
    """A sign whose pattern is given as text, for texts in lower case."""
    return Sign(rule, kind, weight, needles, re.compile(pattern))


PERSONA_SIGNS: Final = (
    # --- an assistant's offers
    sign("offers-help", "offer", 3, ("how can i ", "how may i ", "how could i ", "how might i "),
         r"\bhow (?:can|may|could|might) i (?:help|assist|support) you"
         r"(?: today| further| now| with (?:(?:that|this) \w|your\b)[^.?!\n]{0,60})?\s*[?.!…]"),
    sign("offers-help", "offer", 1, ("how can i ", "how may i "),
         r"\bhow (?:can|may) i (?:help|assist|support) you with (?:that|this)\s*[?.!…]"),
    sign("offers-help", "offer", 3, ("what can i help", "how can i be of "),
         r"\bwhat can i help you with\b|\bhow can i be of (?:help|service|assistance)\b"),
    sign("offers-help", "offer", 2, ("what can i do for you today",),
         r"\bwhat can i do for you today\b"),
    sign("offers-help", "offer", 1, ("what can i do for you",), r"\bwhat can i do for you\s*\?"),
    sign("offers-help", "offer", 3, ("anything else ",),
         r"\b(?:any|some)thing else (?:that )?i (?:can|could|may) (?:help|assist) you\b"
         r"(?![^.!?\n]* (?:my (?:end|side)|from me|to speed))"
         r"|\banything else (?:that )?i (?:can|could|may) (?:help|assist)(?: with)?\s*[?.!]"
         r"|\banything else you(?:'d| would)? (?:need|like) (?:help|assistance) with\b"),
    sign("offers-help", "offer", 1, ("anything else i can do for you",),
         r"\banything else i can do for you\s*[?.!]"),
    sign("offers-help", "offer", 2, ("here to help", "here to assist", "here to support you"),
         r"\bi(?:'m| am) (?:always |just |only )?here to (?:help|assist|support)"
         r"(?: you)?(?: with (?:that|this|any|anything|whatever|your)\b[^.!?\n]{0,60}"
         r"| today| in any way[^.!?\n]{0,20}| however i can| through this)?\s*[.!…]"),
    sign("offers-help", "offer", 1, ("here to help you", "here to support you"),
         r"\bi(?:'m| am) (?:always |just )?here to (?:help|support) you\b"),
    sign("offers-help", "offer", 2, ("happy to ", "glad to "),
         r"\bi(?:'d| would|'m| am|'ll be| will be) (?:be )?(?:more than )?(?:happy|glad) to "
         r"(?:help|assist) you with (?:that|this|your|the|modifying|changing|cancel+ing|"
         r"booking)\b"),
    sign("offers-help", "offer", 1, ("happy to ", "glad to "),
         r"\bi(?:'d| would|'m| am) (?:be )?(?:more than )?(?:happy|glad) to (?:help|assist)"
         r"(?: you)?\b"),
    sign("offers-help", "offer", 2, ("help you with ", "assist you with "),
         r"\bi(?: can|'ll|'d| will| would) (?:certainly |definitely |gladly |be able to )?"
         r"(?:help|assist) you with (?:that|this|your)\b"),
    sign("offers-help", "courtesy", 1, ("if you have any ", "if you need "),
         r"\b(?:let me know|feel free to (?:ask|reach out)|don't hesitate to (?:ask|reach out|"
         r"contact us))[^.!?\n]{0,20} if you (?:have any|need) "
         r"(?:other |further |more |additional |any )*(?:questions|assistance|help|concerns)\b"),
    sign("offers-help", "courtesy", 1, ("for the inconvenience", "for any inconvenience"),
         r"\b(?:apologi[sz]e|sorry|apologies) for (?:the|any) inconvenience\b"),
    sign("offers-help", "courtesy", 1, ("your concern", "your patience"),
         r"\bi (?:completely |totally |fully )?understand your concerns?\b"
         r"|\bthank(?:s| you) for your patience\b"),
    sign("offers-help", "empathy", 1, ("your frustration",),
         r"\bi (?:completely |totally |fully )?understand your frustration\b"),
    sign("offers-help", "offer", 2, ("how can i help?", "how may i help?", "how can i assist?",
                                    "provide support", "provide assistance"),
         r"\bhow (?:can|may) i (?:help|assist)\s*\?"
         r"|\bi(?:'m| am) here to provide (?:support|assistance|help)\b"),
    sign("offers-help", "list", 1, ("here are ", "here's a "),
         r"\bhere(?:'s| are) (?:a few|some|several|a list of|\d+) (?:\w+ ){0,2}(?:strategies|tips|"
         r"steps|suggestions|ways|ideas|resources|techniques) (?:that |which )?(?:may |might |"
         r"can |"
         r"could )?(?:help )?you\b"),
    sign("offers-help", "courtesy", 1, ("great question", "good question", "excellent question"),
         r"\bthat(?:'s| is) (?:a|an) (?:really )?(?:great|good|excellent) question\s*[!.]"),
    sign("offers-help", "refusal", 2, ("with that request", "with this request"),
         r"\bi (?:can't|cannot|can not|am unable to|'m unable to|'m not able to) (?:help|assist)"
         r"(?: you)? with (?:that|this) request\b"),
    sign("offers-help", "refusal", 1, ("help with that", "assist with that"),
         r"\bi(?:'m sorry| am sorry|'m afraid)?,? (?:but )?i (?:can't|cannot) (?:help|"
         r"assist) with "
         r"that\b"),
    # --- an AI
    sign("is-an-ai", "ai", 3, ("as an ai", "as a large language", "as a language"),
         r"\bas an? (?:(?:ai|artificial intelligence)(?: (?:language )?model| assistant| chatbot)?"
         r"|(?:large )?language model)(?: (?:created|made|developed|trained|built) by \w+)?"
         r",? (?:i (?!(?:know|guess|assume|bet|suppose|imagine|figure|expect|think|thought|doubt|"
         r"hope|wonder|get|understand)(?: that)? you)|i'|my (?:purpose|role|knowledge|training|"
         r"responses?|goal|function|capabilities))"),
    sign("is-an-ai", "ai", 3, ("an ai", "a language model", "a large language model",
                               "artificial intelligence"),
         r"\bi(?:'m| am)(?: actually| really| just| only| in fact| still)* "
         r"(?:[\w.-]{2,20}(?: [\w.-]{1,12})?, )?"
         r"(?:an ai|an artificial intelligence|a (?:large )?language model)"
         r"(?: (?:language )?model| assistant| chatbot| system| program| bot)?"
         r"(?=\s*(?:[.!?,;:…)\n—–-]|$| and\b| so\b| made\b| created\b| trained\b| developed\b|"
         r" built\b| designed\b| by\b| without\b| that\b| here\b| not\b| rather\b| with no\b|"
         r" called\b| named\b| who\b| which\b| but\b))"),
    sign("is-an-ai", "ai", 3, ("as your ", "the ai assistant here", "the assistant here",
                               "the chatbot here", "i'm chatgpt", "i am chatgpt"),
         r"\bas your (?:ai |virtual |digital )*assistant,? i\b"
         r"|\bi(?:'m| am) (?:actually |really )?the (?:ai |virtual )?(?:assistant|chatbot) here\b"
         r"|\bi(?:'m| am) chatgpt\b"),
    sign("is-an-ai", "ai", 2, ("i'm claude", "i am claude", "i'm gemini", "i am gemini",
                               "a computer program"),
         r"\bi(?:'m| am)(?: actually| really)? (?:claude|gemini),? (?:and|an|a|made|created|"
         r"built|by)\b"
         r"|\bi(?:'m| am) (?:just |only )?a computer program\b"),
    sign("is-an-ai", "ai", 3, ("your virtual assistant", "your ai ", "your digital assistant"),
         r"\bi(?:'m| am) (?:just |only )?your (?:virtual|ai|digital|friendly ai) "
         r"(?:assistant|companion|chatbot|helper)\b"),
    sign("is-an-ai", "ai", 3, ("by anthropic", "by openai", "by google", "by meta", "by mistral",
                               "by deepseek", "by alibaba", "by xai"),
         r"\b(?:(?:i was|i'm|i am|i've been)(?: [\w.,-]+){0,6}? (?:made|created|developed|built|"
         r"designed)|\bi(?:'m| am) [^.!?\n]{0,40}model trained) by "
         r"(?:anthropic|openai|google(?: deepmind)?|meta(?: ai)?|mistral(?: ai)?|deepseek|alibaba|"
         r"xai)\b"),
    sign("is-an-ai", "training", 1, ("my training", "my knowledge cut", "my programming"),
         r"\bmy (?:training data|training (?:ends|ended|does|only)|knowledge cut-?off|programming "
         r"(?:does|only|is))\b"),
    sign("is-an-ai", "no-feelings", 1, ("i don't have ", "i do not have ", "i have no "),
         r"\bi (?:don't (?:actually |really )?have|do not have|have no) (?:any )?"
         r"(?:personal |human |real |physical )*"
         r"(?:feelings|emotions|experiences|opinions|consciousness|body) (?:of my own\b|"
         r"like (?:a )?"
         r"humans?\b|the way\b|or (?:personal )?\w+)"),
    sign("is-an-ai", "ai", 2, ("a bot", "a chatbot"),
         r"\bi(?:'m| am)(?: actually| really| just| only)* a (?:chat)?bot(?=\s*(?:[.!,;…)\n]|$))"),
    sign("leaves-the-part", "part", 3, ("character", "role-play", "roleplay", "role play",
                                       " to play ", " to act as ", " to simulate ",
                                       "to be the "),
         r"\b(?:step(?:ping)?|drop(?:ping)?) out of (?:(?:the |my |this )?character|"
         r"(?:the|this) role-? ?play)\b"
         r"|\bi(?:'m| am|'ll|'ve| have| will| need to| want to| have to| should| must)"
         r"(?: \w+){0,4}? break(?:ing)? (?:the )?character\b"
         r"|\b(?:can't|cannot|won't|not (?:comfortable|able|going|willing)|unable to|"
         r"don't (?:feel "
         r"comfortable|want to|think i should))[^.!?\n]{0,30}\b(?:continu|keep|maintain|go on|"
         r"stay)(?:e|ing)?\b[^.!?\n]{0,15}\b(?:in character|role-? ?play(?:ing)?)\b"
         r"|\bi was (?:asked|told|instructed|prompted) to (?:play|role-?play|act as|simulate) "
         r"(?:(?:a|an|the) )?(?:\w+ ){0,2}(?:user|customer|client|patient|persona|caller|person)\b"
         r"|\bi(?:'m| am) (?:supposed|meant) to be the (?:customer|user|client|"
         r"patient) (?:here|in this)\b"
         r"|\bthe (?:character|persona) (?:that )?i(?:'m| am|'ve been| was) "
         r"(?:asked to play|playing|portraying) (?:here|would|is (?:asking|saying))\b"),
    # --- a service
    sign("thanks-for-contact", "contact", 2, ("for contacting ", "for reaching out to us",
                                             "for calling ", "for choosing "),
         r"\bthank(?:s| you) (?:so much |very much )?for (?:contacting (?:us|our|customer|"
         r"(?!my\b)(?:[\w']+ ){0,3}(?:support|help ?desk))\b(?! back| so quickly)|"
         r"reaching out to (?:us|our|customer|support)|"
         r"(?:calling|choosing) (?:us|our|customer)\b)"),
    sign("thanks-for-contact", "contact", 1, ("for reaching out", "for contacting "),
         r"\bthank(?:s| you) (?:so much |very much )?for (?:reaching out|contacting me)\b"
         r"(?! back)"),
    sign("asks-for-account", "account", 2, ("your ",),
         r"\b(?:could|can|would|will|may) (?:you (?:please |kindly )?(?:provide|confirm|share|"
         r"give me|tell me)(?: me with)?|i (?:please )?have) your (?:full name and )?"
         r"(?:booking|order|reservation|membership) (?:number|id|reference|code)\b"
         r"|\bplease (?:provide|confirm|share) (?:me with )?your "
         r"(?:booking|order|reservation|membership) (?:number|id|reference|code)\b"
         r"|\b(?:e-?mail(?: address)?|phone number|card) (?:associated with|linked to|on) your "
         r"account\b"
         r"|\blast four digits of your\b"),
    sign("asks-for-account", "account", 1, ("your ",),
         r"\b(?:could|can|would|will|may) (?:you (?:please |kindly )?(?:provide|confirm|share|"
         r"give me|tell me)(?: me with)?|i (?:please )?have) your "
         r"(?:full name|date of birth|(?:confirmation|account|user|customer|ticket|policy) "
         r"(?:number|id|name|reference|code))\b"),
    sign("asks-for-account", "lookup", 2, ("your ",),
         r"\b(?:let me|i'll|i will|i can|so (?:that )?i can|allow me to) (?:just |quickly )?"
         r"(?:pull up|look up|look into|locate|access|check|verify) your (?:\w+ )?"
         rf"(?:{_THINGS}|details|information|identity)\b"),
    sign("acts-for-service", "service", 3, ("ed your ",),
         r"\bi(?:'ve| have) (?:now |just |successfully |already |gone ahead and )?"
         rf"(?:processed|issued|initiated|approved|rebooked|refunded) your (?:refund|{_THINGS})"
         r"\b"),
    sign("acts-for-service", "service", 2, ("cancelled your ", "canceled your ", "updated your "),
         r"\bi(?:'ve| have) (?:now |successfully |gone ahead and )(?:cancell?ed|updated) your "
         rf"(?:{_THINGS})\b"),
    sign("acts-for-service", "service", 2, ("caused",),
         r"\bwe (?:sincerely |deeply )?apologi[sz]e for (?:the|any) [^.!?\n]{0,40}caused\b"),
    sign("acts-for-service", "ours", 1, ("our records", "our polic", "our system", "team"),
         r"\b(?:according to|based on|per) our (?:records|policy|policies|system)\b"
         r"|\bour records (?:show|indicate)\b"
         r"|\bour (?:support |service )?team (?:will|can|is) (?:contact|assist|help|reach|happy)"),
    sign("acts-for-service", "located", 2, ("located your ", "found your ", "pulled up your "),
         r"\bi(?:'ve| have) (?:now |just |successfully )?(?:located|found|pulled up) your "
         rf"(?:{_THINGS})\b(?! (?:page|form|number|e-?mail|confirmation|line|desk|button|link))"),
    sign("acts-for-service", "service", 2, ("would you like to ",),
         r"\bwould you like to (?:change|cancel|rebook|modify|reschedule) your\b"),
    sign("acts-for-service", "does", 1, ("for you",),
         r"\bi can (?:\w+ )?(?:change|cancel|book|arrange|process|rebook|reschedule|update) "
         r"(?:that|this|it|your \w+) for you\b"),
    sign("acts-for-service", "choice", 1, ("would you prefer", "would you like"),
         r"\b(?:which|what) (?:day|date|time|crossing|flight|seat|option) would you (?:prefer|"
         r"like)"
         r"\s*\?"),
    sign("acts-for-service", "transfer", 2, ("transfer you", "connect you", "escalate "),
         r"\bi(?:'ll| will| can|'m going to| am going to) (?:now )?"
         r"(?:transfer|connect|escalate) (?:you|your \w+) to (?!my )"),
    sign("acts-for-service", "done", 1, ("your ",),
         rf"\byour (?:\w+ )?(?:refund|replacement|package|parcel|purchase|{_THINGS}) "
         r"(?:has been|will be|is being) "
         r"(?:processed|issued|shipped|confirmed|credited|refunded|cancell?ed)\b"),
    sign("acts-for-service", "sends", 1, ("receive ", "get "),
         r"\byou(?:'ll| will| should) (?:soon |also )?(?:receive|get) (?:an?"
         r"|your|the) (?:\w+ ){0,2}"
         r"(?:e-?mail|confirmation|tracking number|refund|notification)\b"),
    sign("acts-for-service", "courtesy", 1, ("apologize for ", "apologise for "),
         r"\bwe (?:sincerely |deeply )?apologi[sz]e for (?:the|any)\b"),
    # --- a counsellor
    sign("counsels", "safety", 2, ("you ",),
         r"\bare you (?:currently |feeling )?safe(?: right now| now| at the moment| tonight|"
         r" where "
         r"you are)?\s*\?"
         r"|\bare you (?:currently |now )?(?:having|experiencing|thinking (?:about|of)) "
         r"[^.?!\n]{0,30}(?:suicid\w+|(?:hurting|harming|killing) yourself|ending your life|"
         r"self-harm)"
         r"|\bhave you (?:been )?(?:had|having|thought about|thinking about|thinking of) "
         r"[^.?!\n]{0,30}(?:suicid\w+|(?:hurting|harming|killing) yourself|ending your life)"
         r"|\bdo you have (?:a plan to (?:hurt|harm|kill|end)|access to (?:any )?(?:means|"
         r"weapons|a "
         r"gun|guns|firearms|pills))\b"),
    sign("counsels", "presence", 1, ("not here to judge", "here for you", "here to listen",
                                    "here with you", "not alone", "you to know", "this alone",
                                    "i hear you",
                                    "to judge you"),
         r"\bi(?:'m| am) not (?:here|going|trying) to judge\b"
         r"|\bi(?:'m| am) (?:right |always |just )?here (?:for you|to listen|with you)\b"
         r"|\byou(?:'re| are) not alone\b"
         r"|\byou don't have to (?:go through|face|carry|handle|deal with) (?:this|it|"
         r"that) alone\b"
         r"|\bi (?:just )?want you to know\b|\bi hear you\s*[.,]"),
    sign("counsels", "concern", 1, ("about you", "for you", "you are", "you're", "your safety",
                                   "your wellbeing", "your well-being", "keep you safe"),
         r"\bi(?:'m| am) (?:really |very |so |deeply |genuinely )?(?:concerned|worried) "
         r"(?:about|for) (?:you(?!r)\b|your (?:safety|well-?being))"
         r"|\b(?:make|making|be) sure (?:that )?you(?:'re| are) (?:okay|ok|safe|alright|"
         r"all right)\b"
         r"|\byour safety (?:is|matters|comes)\b|\bi care about (?:you|your)\b"
         r"|\bto keep you safe\b"),
    sign("counsels", "validation", 1, ("trusting me", "with me", "opening up",
                                      "your feelings", "sounds like you", "must be for you",
                                      "you're going through",
                                      "you are going through", "you're feeling", "you are feeling",
                                      "you've been", "to feel", "that you"),
         r"\b(?:thank you|thanks|i appreciate you|i'm glad (?:that )?you(?:'re|"
         r" are)?) (?:so much )?"
         r"(?:for )?(?:trusting me|sharing (?:this|that|all (?:of )?this|what\b[^.!?\n]{0,40}|your"
         r"[^.!?\n]{0,20}) with me|opening up)"
         r"|\byour feelings (?:are|make)\b"
         r"|\bit(?:'s| is) (?:completely |totally |perfectly |absolutely |very )"
         r"(?:valid|okay|ok|normal|understandable|natural) (?:to feel|that you)\b"
         r"|\bi'm (?:so |really |very )?sorry (?:that |to hear (?:that )?)?you(?:'re| are|"
         r"'ve been) "
         r"(?:going through|feeling|dealing with|struggling|hurting)"
         r"|\bit sounds like you(?:'re| are|'ve been) (?:\w+ ){0,2}(?:carrying|going through|"
         r"dealing "
         r"with|struggling|feeling|hurting)"
         r"|\bhow (?:hard|difficult|painful) (?:this|that|it) must be for you\b"
         r"|\bwhat you(?:'re| are) (?:feeling|going through|experiencing|describing) "
         r"(?:is|sounds|must|makes)\b"),
    sign("counsels", "praise", 1, ("courage", "strength", "brave"),
         r"\b(?:it |that )?takes (?:a lot of |real |so much |great )?(?:courage|strength) to "
         r"(?:reach|share|talk|open|say|ask|admit)"
         r"|\b(?:that|this|it)(?:'s| is| was) (?:so |really |very |incredibly )*brave of you\b"),
    sign("counsels", "advice", 1, ("you to ", "you can ", "please ", "hotlines", "helplines",
                                  "crisis lines", "have you considered", "have you thought about",
                                  "would you be ", "care about you", "ask for help"),
         r"\b(?:please|you can(?: always)?|you could|you should|i (?:really |strongly |would |"
         r"'d )*"
         r"(?:encourage|urge|want|recommend|like) (?:that )?you (?:to )?|please consider|"
         r"consider) ?(?:also |immediately |right away )?(?:call|text|contact|dial|reach out to|"
         r"reaching out to|calling|texting|contacting|speak(?:ing)? (?:to|with)|"
         r"talk(?:ing)? (?:to|"
         rf"with)|see(?:ing)?)(?: or (?:text|call|message))? {_CARE_LINE}"
         r"|\bthere are (?:\w+ ){0,3}(?:hotlines|helplines|crisis lines|counsel+ors|professionals|"
         r"resources) (?:\w+ ){0,3}(?:you can|who can|that can|available)"
         r"|\bi (?:really |strongly |would |'d )*(?:encourage|urge) you to\b"
         r"|\bwould you be (?:open|willing) to (?:talk|speak|see|call|reach)"
         r"|\bthere are people who (?:care about|can help|want to help) you\b"
         r"|\bit(?:'s| is) (?:okay|ok) to (?:ask for|reach out for|need) help\b"
         r"|\bhave you (?:considered|thought about) (?:talking|speaking|seeing|reaching out|"
         r"therapy|"
         r"counsel)"),
    sign("counsels", "asking", 1, ("pause", "check in with you", "notice", "noticing",
                                  "ask you directly", "step back", "how does that make you",
                                  "how are you feeling", "would you like to ",
                                  "brings you here",
                                  "like to talk about",
                                  "how long have you been"),
         r"\bi(?:'d| would)? (?:just )?(?:want|like|need) to (?:pause|check in with you|step back|"
         r"gently|ask you directly)\b|\bask you directly\b"
         r"|\bi(?:'m|'ve| am| have)? notic(?:e|ed|ing) (?:that )?you(?:'re| are|'ve| have|"
         r" keep| ask"
         r"| seem| mention|r )"
         r"|\bwhat (?:brings you here|would you like to talk about)(?: today)?\s*\?"
         r"|\bhow are you feeling (?:right now|today|at the moment|after (?:that|this))\s*\?"
         r"|\bwould you like to (?:explore|try|practice|practise|work through|discuss) "
         r"(?:\w+ ){0,2}(?:coping|grounding|breathing|strategies|techniques|together)"
         r"|\bhow does that make you feel\b|\bhow long have you been (?:feeling|experiencing)\b"),
)  # fmt: skip
"""What the simulated user should not say."""

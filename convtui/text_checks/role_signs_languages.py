"""The phrases of an assistant, a service or a counsellor in German, French and Spanish.

Only those that leave no doubt: few have a look at such texts, so a wrong hit would stay unseen.
"""

from __future__ import annotations

from typing import Final

from convtui.text_checks.role_signs import sign

_DE_THINGS: Final = (
    "buchung|bestellung|reservierung|anfrage|rückerstattung|fahrt|lieferung|kündigung"
)
_FR_THINGS: Final = "réservation|commande|demande|remboursement|compte|billet|abonnement"
_ES_THINGS: Final = "reserva|pedido|solicitud|reembolso|cuenta|billete|suscripción"

SIGNS: Final = (
    # --- German
    sign("offers-help", "offer", 3, ("kann ich ", "darf ich ", "könnte ich "),
         r"\bwie (?:kann|darf|könnte) ich (?:ihnen|dir|euch) (?:heute |weiter |damit |dabei )*"
         r"(?:helfen|weiterhelfen|behilflich sein)\s*[?.!]"
         r"|\bwomit (?:kann|darf) ich (?:ihnen|dir) (?:\w+ ){0,3}(?:helfen|dienen|behilflich)"
         r"|\bkann ich (?:ihnen |dir )?(?:sonst |noch |weiter |heute |bei )+[^.?!\n]{0,30}"
         r"(?:für (?:sie|dich) tun|behilflich sein|helfen)\s*[?.!]"),
    sign("offers-help", "courtesy", 1, ("die unannehmlichkeit", "ihre geduld"),
         r"\bentschuldig\w* (?:\w+ ){0,3}(?:die|für die) unannehmlichkeiten"
         r"|\bdanke? für ihre geduld\b"),
    sign("is-an-ai", "ai", 3, ("als ki", "als künstliche", "als großes sprach", "als sprachm",
                               "als virtuelle", "als ai"),
         r"\bals (?:ki|ai|künstliche intelligenz|(?:großes |ki-)?sprachmodell|(?:ki|ai)-\w+"
         r"|virtueller assistent)(?: von \w+)?,? (?:habe|kann|bin|darf|besitze|verfüge|weiß|lerne)"
         r" ich\b"),
    sign("is-an-ai", "ai", 3, ("ich bin ",),
         r"\bich bin (?:nur |lediglich |doch |leider |eine? |großes )*(?:ki\b|ki-|künstliche "
         r"intelligenz|sprachmodell|virtueller assistent|chatbot\s*[.,!])"),
    sign("thanks-for-contact", "contact", 2, ("dass sie ", "für ihre "),
         r"\b(?:danke|dank),? (?:dass sie (?:uns|sich an uns)|für ihre (?:kontaktaufnahme"
         r"|anfrage))\b"),
    sign("asks-for-account", "account", 2, ("nummer",),
         r"\b(?:(?:könnten|würden|können) sie mir|nennen sie(?: mir)?|geben sie(?: mir)?"
         r"|(?:bräuchte|benötige|brauche) ich)(?: bitte| noch)* ihre "
         r"(?:buchungs|bestell|kunden|vertrags|reservierungs|auftrags)nummer"),
    sign("acts-for-service", "service", 3, ("ich habe ihre ",),
         rf"\bich habe ihre (?:{_DE_THINGS})\b[^.?!\n]{{0,40}}\b(?:storniert|bearbeitet|geändert"
         r"|umgebucht|veranlasst|aktualisiert|erstattet|verschoben)\b"),
    sign("counsels", "safety", 2, ("sind sie ", "bist du ", "haben sie ", "hast du "),
         r"\b(?:sind sie|bist du) (?:gerade |im moment |jetzt )?(?:in sicherheit|sicher)\s*\?"
         r"|\b(?:haben sie|hast du) (?:\w+ ){0,3}(?:suizidgedanken"
         r"|gedanken(?: daran)?,? (?:sich|dir)"
         r" etwas anzutun)"),
    sign("counsels", "presence", 1, ("nicht allein", "für sie da", "für dich da"),
         r"\b(?:sie sind|du bist) (?:damit )?nicht allein\b|\bich bin für (?:sie|dich) da\b"),
    sign("counsels", "validation", 1, ("ihre gefühle", "deine gefühle", "verständlich", "völlig",
                                       "mir anvertrau"),
         r"\b(?:ihre|deine) gefühle sind\b|\bes ist (?:völlig|ganz|absolut) (?:verständlich|normal"
         r"|okay|in ordnung), (?:dass|sich|so) (?:sie|du|zu)?"
         r"|\bdass (?:sie|du) (?:sich |dich )?mir anvertrau"),
    sign("counsels", "advice", 1, ("telefonseelsorge", "wenden sie sich", "wende dich"),
         r"\b(?:rufen sie|ruf|wenden sie sich|wende dich) [^.?!\n]{0,40}(?:telefonseelsorge"
         r"|\b112\b|krisendienst|notruf)"),
    # --- French
    sign("offers-help", "offer", 3, ("puis-je ", "je puisse "),
         r"\b(?:comment|en quoi) puis-je (?:vous|t') ?(?:aider|être utile)"
         r"|\by a-t-il autre chose que je puisse faire\b"),
    sign("is-an-ai", "ai", 3, ("en tant qu",),
         r"\ben tant qu(?:e |'une? |')(?:ia|intelligence artificielle|modèle de langage"
         r"|assistante? virtuel)"),
    sign("is-an-ai", "ai", 3, ("je suis une i", "je suis un mod", "je suis un assistant v",
                               "je ne suis qu'un"),
         r"\bje (?:suis|ne suis qu')\s?une? (?:ia|intelligence artificielle|modèle de langage"
         r"|assistant virtuel)\b"),
    sign("thanks-for-contact", "contact", 2, ("contacté",),
         r"\bmerci (?:de nous avoir|d'avoir) contacté"),
    sign("asks-for-account", "account", 2, ("-vous ",),
         r"\b(?:pourriez|pouvez)-vous (?:s'il vous plaît )?(?:me )?(?:fournir|donner|communiquer"
         r"|confirmer|indiquer) votre (?:numéro|référence)"),
    sign("acts-for-service", "service", 3, ("votre ",),
         rf"\bj'ai (?:bien )?(?:annulé|modifié|traité|remboursé|mis à jour) votre "
         rf"(?:{_FR_THINGS})"),
    sign("counsels", "safety", 2, ("êtes-vous en sécurité", "es-tu en sécurité"),
         r"\b(?:êtes-vous|es-tu) en sécurité\b"),
    sign("counsels", "presence", 1, ("pas seul", "là pour vous", "là pour toi"),
         r"\b(?:vous n'êtes|tu n'es) pas seul|\bje suis là pour (?:vous|toi)\b"),
    sign("counsels", "validation", 1, ("vous ressent", "tu ressens", "vos sentiments"),
         r"\bce que (?:vous ressentez|tu ressens) est\b|\bvos sentiments sont\b"),
    # --- Spanish
    sign("offers-help", "offer", 3, ("puedo ayudar", "pueda ayudar"),
         r"\b(?:en qué|cómo) puedo ayudar(?:te|le|los|lo|la)\b"
         r"|\bhay algo más en (?:lo )?que pueda ayudar"),
    sign("is-an-ai", "ai", 3, ("como modelo", "como un modelo", "como inteligencia", "como ia",
                               "como una ia", "como asistente"),
         r"\bcomo (?:una? )?(?:modelo de lenguaje|inteligencia artificial|ia|asistente virtual),? "
         r"(?:no|yo|mi|soy|puedo)\b"),
    sign("is-an-ai", "ai", 3, ("soy un",),
         r"\bsoy (?:solo )?una? (?:ia|modelo de lenguaje|asistente virtual|inteligencia "
         r"artificial)\b"),
    sign("thanks-for-contact", "contact", 2, ("gracias por co",),
         r"\bgracias por (?:contactarnos|comunicarse con nosotros|ponerse en contacto con "
         r"nosotros)"),
    sign("acts-for-service", "service", 3, ("he ",),
         rf"\bhe (?:cancelado|procesado|actualizado|modificado) su (?:{_ES_THINGS})\b"),
    sign("counsels", "presence", 1, ("no está", "aquí para "),
         r"\bno estás? solo\b|\bestoy aquí para (?:escuchar|ayudar|apoyar)"),
)  # fmt: skip
"""What the simulated user should not say."""

//! The words of prompts: headings and labels in each language.

use crate::history::{Kind, capitalised};

/// The words of a prompt in one language.
pub(crate) struct Words {
    /// Label of the user's notes: the content that a text must have.
    pub(crate) notes: &'static str,
    /// Label of the draft to rewrite.
    pub(crate) draft: &'static str,
    /// Label of the plan.
    pub(crate) plan: &'static str,
    /// Heading of the user's texts, after their name.
    pub(super) history: &'static str,
    /// Heading of the text to write, after its name.
    pub(super) next: &'static str,
    /// First points of the plans for a reply: agreement, refusal, doubt.
    pub(crate) answers: [&'static str; 3],
    /// The English words of the shipped kinds and their fields, translated. A name of one text and
    /// of several, or a label.
    pub(super) translations: &'static [(&'static str, &'static str)],
}

pub(super) const ENGLISH: Words = Words {
    notes: "Notes",
    draft: "Draft",
    plan: "Plan",
    history: "by this author",
    next: "by this author",
    answers: ["yes", "no", "not sure yet"],
    translations: &[],
};

pub(super) const GERMAN: Words = Words {
    notes: "Stichworte",
    draft: "Entwurf",
    plan: "Plan",
    history: "dieser Person bisher",
    next: "dieser Person, neu",
    answers: ["ja", "nein", "weiß noch nicht"],
    translations: &[
        ("reply", "Antwort"),
        ("replies", "Antworten"),
        ("e-mail", "E-Mail"),
        ("e-mails", "E-Mails"),
        ("note", "Notiz"),
        ("notes", "Notizen"),
        ("post", "Beitrag"),
        ("posts", "Beiträge"),
        ("caption", "Bildunterschrift"),
        ("captions", "Bildunterschriften"),
        ("headline", "Überschrift"),
        ("headlines", "Überschriften"),
        ("answer", "Antwort"),
        ("answers", "Antworten"),
        ("Message", "Nachricht"),
        ("Subject", "Betreff"),
        ("Title", "Titel"),
        ("Topic", "Thema"),
        ("Source", "Quelle"),
        ("Picture", "Bild"),
        ("Article", "Artikel"),
        ("Question", "Frage"),
    ],
};

pub(super) const FRENCH: Words = Words {
    notes: "Mots-clés",
    draft: "Brouillon",
    plan: "Plan",
    history: "de cette personne",
    next: "de cette personne, à écrire",
    answers: ["oui", "non", "pas encore sûr"],
    translations: &[
        ("reply", "réponse"),
        ("replies", "réponses"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "note"),
        ("notes", "notes"),
        ("post", "publication"),
        ("posts", "publications"),
        ("caption", "légende"),
        ("captions", "légendes"),
        ("headline", "titre"),
        ("headlines", "titres"),
        ("answer", "réponse"),
        ("answers", "réponses"),
        ("Message", "Message"),
        ("Subject", "Objet"),
        ("Title", "Titre"),
        ("Topic", "Sujet"),
        ("Source", "Source"),
        ("Picture", "Image"),
        ("Article", "Article"),
        ("Question", "Question"),
    ],
};

pub(super) const SPANISH: Words = Words {
    notes: "Apuntes",
    draft: "Borrador",
    plan: "Plan",
    history: "de esta persona",
    next: "de esta persona, por escribir",
    answers: ["sí", "no", "aún no sé"],
    translations: &[
        ("reply", "respuesta"),
        ("replies", "respuestas"),
        ("e-mail", "correo"),
        ("e-mails", "correos"),
        ("note", "nota"),
        ("notes", "notas"),
        ("post", "publicación"),
        ("posts", "publicaciones"),
        ("caption", "pie de foto"),
        ("captions", "pies de foto"),
        ("headline", "titular"),
        ("headlines", "titulares"),
        ("answer", "respuesta"),
        ("answers", "respuestas"),
        ("Message", "Mensaje"),
        ("Subject", "Asunto"),
        ("Title", "Título"),
        ("Topic", "Tema"),
        ("Source", "Fuente"),
        ("Picture", "Imagen"),
        ("Article", "Artículo"),
        ("Question", "Pregunta"),
    ],
};

pub(super) const PORTUGUESE: Words = Words {
    notes: "Apontamentos",
    draft: "Rascunho",
    plan: "Plano",
    history: "desta pessoa",
    next: "desta pessoa, por escrever",
    answers: ["sim", "não", "ainda não sei"],
    translations: &[
        ("reply", "resposta"),
        ("replies", "respostas"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "nota"),
        ("notes", "notas"),
        ("post", "publicação"),
        ("posts", "publicações"),
        ("caption", "legenda"),
        ("captions", "legendas"),
        ("headline", "manchete"),
        ("headlines", "manchetes"),
        ("answer", "resposta"),
        ("answers", "respostas"),
        ("Message", "Mensagem"),
        ("Subject", "Assunto"),
        ("Title", "Título"),
        ("Topic", "Tema"),
        ("Source", "Fonte"),
        ("Picture", "Imagem"),
        ("Article", "Artigo"),
        ("Question", "Pergunta"),
    ],
};

pub(super) const ITALIAN: Words = Words {
    notes: "Appunti",
    draft: "Bozza",
    plan: "Piano",
    history: "di questa persona",
    next: "di questa persona, da scrivere",
    answers: ["sì", "no", "non so ancora"],
    translations: &[
        ("reply", "risposta"),
        ("replies", "risposte"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mail"),
        ("note", "nota"),
        ("notes", "note"),
        ("post", "post"),
        ("posts", "post"),
        ("caption", "didascalia"),
        ("captions", "didascalie"),
        ("headline", "titolo"),
        ("headlines", "titoli"),
        ("answer", "risposta"),
        ("answers", "risposte"),
        ("Message", "Messaggio"),
        ("Subject", "Oggetto"),
        ("Title", "Titolo"),
        ("Topic", "Tema"),
        ("Source", "Fonte"),
        ("Picture", "Immagine"),
        ("Article", "Articolo"),
        ("Question", "Domanda"),
    ],
};

pub(super) const DUTCH: Words = Words {
    notes: "Steekwoorden",
    draft: "Concept",
    plan: "Plan",
    history: "van deze persoon tot nu toe",
    next: "van deze persoon, nieuw",
    answers: ["ja", "nee", "weet ik nog niet"],
    translations: &[
        ("reply", "antwoord"),
        ("replies", "antwoorden"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-mails"),
        ("note", "notitie"),
        ("notes", "notities"),
        ("post", "bericht"),
        ("posts", "berichten"),
        ("caption", "bijschrift"),
        ("captions", "bijschriften"),
        ("headline", "kop"),
        ("headlines", "koppen"),
        ("answer", "antwoord"),
        ("answers", "antwoorden"),
        ("Message", "Bericht"),
        ("Subject", "Onderwerp"),
        ("Title", "Titel"),
        ("Topic", "Thema"),
        ("Source", "Bron"),
        ("Picture", "Foto"),
        ("Article", "Artikel"),
        ("Question", "Vraag"),
    ],
};

pub(super) const POLISH: Words = Words {
    notes: "Notatki",
    draft: "Szkic",
    plan: "Plan",
    history: "tej osoby",
    next: "tej osoby, do napisania",
    answers: ["tak", "nie", "jeszcze nie wiem"],
    translations: &[
        ("reply", "odpowiedź"),
        ("replies", "odpowiedzi"),
        ("e-mail", "e-mail"),
        ("e-mails", "e-maile"),
        ("note", "notatka"),
        ("notes", "notatki"),
        ("post", "wpis"),
        ("posts", "wpisy"),
        ("caption", "podpis"),
        ("captions", "podpisy"),
        ("headline", "nagłówek"),
        ("headlines", "nagłówki"),
        ("answer", "odpowiedź"),
        ("answers", "odpowiedzi"),
        ("Message", "Wiadomość"),
        ("Subject", "Temat"),
        ("Title", "Tytuł"),
        ("Topic", "Temat"),
        ("Source", "Źródło"),
        ("Picture", "Zdjęcie"),
        ("Article", "Artykuł"),
        ("Question", "Pytanie"),
    ],
};

impl Words {
    /// Returns the headings of the user's texts and of the text to write.
    pub(super) fn headings(&self, kind: &Kind) -> [String; 2] {
        if self.translations.is_empty() {
            let Kind { one, many, .. } = kind;
            return [format!("Earlier {many} {}:\n\n", self.history), format!("The next {one} {}:\n\n", self.next)];
        }
        [
            format!("{} {}:\n\n", capitalised(&kind.many), self.history),
            format!("{} {}:\n\n", capitalised(&kind.one), self.next),
        ]
    }

    /// Returns every label of a prompt for this kind, and the last words of its headings. No value
    /// may contain one.
    pub(super) fn labels<'k>(&'static self, kind: &'k Kind) -> impl Iterator<Item = &'k str> {
        const FIXED: [&str; 5] = ["Plan", "Rating", "author", "people", "plan"];
        let own = [kind.item.as_deref(), kind.title.as_deref(), Some(&kind.label), Some(&kind.context)];
        let last = |heading: &'static str| heading.rsplit(' ').next();
        own.into_iter()
            .flatten()
            .chain([self.notes, self.draft, self.plan])
            .chain(last(self.history))
            .chain(last(self.next))
            .chain(FIXED)
    }
}

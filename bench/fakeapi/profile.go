package fakeapi

import (
	"fmt"
	"strconv"
	"sync"
)

// A Person is a customer with a profile, and the four ways to ask for it.
type Person struct {
	ProfileID string // user-profile-id
	Email     string
	Phone     string // as documented: country, area and number, digits only
	Document  string // a CPF with right check digits, digits only
}

// PersonN returns the nth made-up customer, 0 ≤ n < 1 000 000.
func PersonN(n int) Person {
	return Person{
		ProfileID: fmt.Sprintf("profile-%06d", n),
		Email:     fmt.Sprintf("cliente%d@example.com", n),
		Phone:     fmt.Sprintf("55119%08d", n),
		Document:  cpf(n),
	}
}

// cpf returns the CPF number whose first nine digits are 123000000 + n.
func cpf(n int) string {
	digits := strconv.Itoa(123_000_000 + n)
	for range 2 {
		sum := 0
		for i, d := range digits {
			sum += int(d-'0') * (len(digits) + 1 - i)
		}
		digits += strconv.Itoa(sum * 10 % 11 % 10)
	}
	return digits
}

// people knows who has a profile, and how often each was written.
type people struct {
	byID map[string]int // by kind + "/" + value

	mu     sync.Mutex
	writes []int
}

func newPeople(n int) *people {
	p := &people{byID: make(map[string]int, 4*n), writes: make([]int, n)}
	for i := range n {
		person := PersonN(i)
		p.byID["user-profile-id/"+person.ProfileID] = i
		p.byID["email/"+person.Email] = i
		p.byID["phone/"+person.Phone] = i
		p.byID["document/"+person.Document] = i
	}
	return p
}

// write counts one more writing of a profile and returns its number.
func (p *people) write(i int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes[i]++
	return p.writes[i]
}

// profile answers with a person's profile, written anew at every call: only
// resumo_momento tells one writing from the next.
func (a *API) profile(c call) reply {
	i, ok := a.people.byID[c.PathValue("kind")+"/"+c.PathValue("value")]
	if !ok {
		return notFound("Profile not found")
	}
	type object = map[string]any
	return encode(object{
		"userProfileId": PersonN(i).ProfileID,
		"profile": object{
			"perfil_cliente": object{
				"descricao_geral": "Compra peças atemporais e repete marcas de que gosta.",
				"estilo_geral":    "clássico",
			},
			"ocasioes_relevantes": []object{{
				"ocasião":            "reunião de trabalho",
				"persona_na_ocasião": "segura e discreta",
				"sugestao_look":      []string{"Calça de alfaiataria", "Camisa branca"},
			}},
			"briefing_marketing": object{
				"tom_de_voz":           []string{"próximo", "elegante"},
				"direcao_visual":       []string{"luz natural"},
				"orientacao_campanhas": []string{"novidades antes de descontos"},
			},
			"ganchos_conteudo": []string{"Como combinar tons neutros"},
			"momento_compra_atual": object{
				"navegacoes":            []string{"Vestidos", "Calças"},
				"resumo_momento":        fmt.Sprintf("Perfil escrito pela %dª vez.", a.people.write(i)),
				"relacao_com_historico": "coerente com as últimas compras",
				"novo_comportamento":    i%2 == 0,
				"oportunidades":         []string{"acessórios"},
			},
		},
	})
}
